"""Servers that are installed on this machine: on PATH, or where its packages put them."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import ClassVar

from seatrial.errors import ProviderError
from seatrial.resources.protocol import Program, ServerSpec
from seatrial.resources.providers import local
from seatrial.resources.providers.fit import executable, unfit


class Binary:
    """`protocol.Provider`: the newest installed server that fits."""

    name: ClassVar[str] = "binary"

    def probe(self, spec: ServerSpec) -> str | None:
        """Why no installed server can serve `spec`, or None if one can."""
        found = self._find(spec)
        return found if isinstance(found, str) else None

    def reserve(self, spec: ServerSpec, port: int = 0) -> local.LocalServer:
        """Fix the address. Starts nothing.

        Raises:
            ProviderError: `probe` has a reason, or no port is to be had.
        """
        found = self._find(spec)
        if isinstance(found, str):
            raise ProviderError(
                f"no server on this machine can serve {spec.kind}", cause=found, fix="install one, or put it on PATH"
            )
        return local.reserve(spec, self.name, local.Binaries(folder=found, copy=_closed), port)

    def _find(self, spec: ServerSpec) -> Path | str:
        if spec.program is None:
            return f"{spec.kind} has no server"
        reasons = []
        for folder in _folders(spec.program, spec.folders):
            reason = unfit(folder, spec)
            if reason is None:
                return folder
            reasons.append(f"{folder}: {reason}")
        what = " or ".join(spec.program.executables)
        return "; ".join(reasons) or f"no {what} on PATH or in {', '.join(spec.folders) or 'any known folder'}"


def _folders(program: Program, patterns: tuple[str, ...]) -> list[Path]:
    """Folders that hold the server: those on PATH, then the others, the highest number in the path first.

    A program that knows its place is nowhere else.
    """
    known_place = Path(program.executables[0])
    if known_place.is_absolute():
        return [known_place.parent] if os.access(known_place, os.X_OK) else []
    on_path = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    globbed = {Path(match) for pattern in patterns for match in glob.glob(pattern)}  # noqa: PTH207 - absolute patterns, which pathlib refuses
    known = sorted(globbed, key=lambda path: [int(part) for part in re.findall(r"\d+", str(path))], reverse=True)
    found = {folder.resolve() if folder.exists() else folder: None for folder in [*on_path, *known]}
    return [folder for folder in found if executable(folder, program)]


def _closed(folder: Path) -> Path:
    raise ProviderError(
        f"the server in {folder} refuses to run as root, and the user that it could run as can't reach that folder",
        cause="one of the folders above it is closed to others",
        fix='run the tests as an ordinary user, or take the wheel: provider = "embedded"',
    )
