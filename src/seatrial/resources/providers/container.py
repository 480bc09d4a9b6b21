"""Servers in containers: Docker's or Podman's engine runs them, our supervisor owns them.

No engine was at hand where this was written: what it says to one is tested against a stub that answers as the
published API says (https://docs.docker.com/reference/api/engine/).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from seatrial.core import folders
from seatrial.errors import ProviderError
from seatrial.resources.protocol import Address, Endpoint, Image, Launch, Program, Run, ServerSpec
from seatrial.resources.providers import data as data_folders
from seatrial.resources.providers import local
from seatrial.resources.providers.fit import satisfies

_HERE = ("unix://", "tcp://127.0.0.1:", "tcp://localhost:", "http://127.0.0.1:", "http://localhost:")
_PATIENCE = 600.0
"""Seconds until the first answer: the image may have to be pulled."""
_RUNNER = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from seatrial.resources.providers.engine import main; main()"
)


class Container:
    """`protocol.Provider`: the first image of the kind that fits, on the first engine that answers."""

    name: ClassVar[str] = "container"

    def probe(self, spec: ServerSpec) -> str | None:
        """Why no container can serve `spec`, or None if one can. Pulls nothing."""
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
                f"no container can serve {spec.kind}",
                cause=found,
                fix="start Docker or Podman, or remove `provider`" if spec.images else "remove `provider`",
            )
        engine, image, version = found
        assert spec.program is not None, "it was looked at by `probe`"
        program = ContainerProgram(spec.program, engine, image, version)
        inside = replace(spec, program=program, patience=spec.patience or _PATIENCE)
        binaries = local.Binaries(folder=Path(sys.executable).parent, copy=lambda folder: folder, apart=True)
        return local.reserve(inside, self.name, binaries, port)

    def _find(self, spec: ServerSpec) -> tuple[str, Image, str] | str:
        if spec.program is None:
            return f"{spec.kind} has no server"
        if not spec.images:
            return f"no container image of {spec.kind} is known"
        fitting = _fitting(spec)
        if fitting is None:
            wanted = [spec.version] if spec.version else []
            wanted += [f"with {', '.join(spec.extensions)}"] if spec.extensions else []
            return f"none of the images {', '.join(_named(spec.images))} is {' '.join(wanted)}"
        library = find_spec("docker")
        if library is None or library.origin is None:  # a folder of the project's may be called docker, too
            return "the library docker is not installed: pip install 'seatrial[container]'"
        engine = _engine()
        if engine.refusal:
            image, version = fitting
            return f"{image.repository}:{image.tags[version]} would do, but {engine.refusal}"
        return engine.url, *fitting


@dataclass(frozen=True, slots=True, kw_only=True)
class _Engine:
    url: str = ""
    refusal: str = ""


def _fitting(spec: ServerSpec) -> tuple[Image, str] | None:
    for image in spec.images:
        lacking = [name for name in spec.extensions if not _has(image, name, spec)]
        for version in () if lacking else image.tags:
            # ".999": a tag such as "18" is the newest of its line.
            if satisfies(f"{version}.999", spec.version):
                return image, version
    return None


def _has(image: Image, extension: str, spec: ServerSpec) -> bool:
    """Whether an image has an extension; one that another image of the kind brings by name is not the server's own."""
    special = {name for other in spec.images for name in other.extensions}
    return extension in image.extensions or ("*" in image.extensions and extension not in special)


def _named(images: tuple[Image, ...]) -> Iterator[str]:
    return (f"{image.repository}:{tag}" for image in images for tag in list(image.tags.values())[:1])


def _engine() -> _Engine:
    """The first engine that answers, or why none does."""
    named = os.environ.get("DOCKER_HOST") or os.environ.get("CONTAINER_HOST")
    if named and not named.startswith(_HERE):
        return _Engine(
            refusal=f"the engine at {named} (DOCKER_HOST) is not on this machine, and neither are its containers' ports"
        )
    if named:
        refusal = _refusal(named)
        return _Engine(refusal=f"the engine at {named}: {refusal}") if refusal else _Engine(url=named)
    reasons = []
    for path in _sockets():
        if not path.is_socket():
            continue
        refusal = _refusal(f"unix://{path}")
        if not refusal:
            return _Engine(url=f"unix://{path}")
        reasons.append(f"{path}: {refusal}")
    looked = ", ".join(map(str, _sockets()))
    return _Engine(
        refusal="; ".join(reasons) or f"no engine runs: there is no socket at {looked}, and DOCKER_HOST is not set"
    )


def _sockets() -> list[Path]:
    """Where Docker and Podman listen, with and without root."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")
    home = Path(os.environ.get("HOME", "/"))
    return [
        Path("/var/run/docker.sock"),
        home / ".docker/run/docker.sock",
        Path(runtime) / "docker.sock",
        Path(runtime) / "podman/podman.sock",
        Path("/run/podman/podman.sock"),
    ]


def _refusal(url: str) -> str:
    if url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:  # most often nobody is there, and the library takes long to import
            try:
                probe.connect(url.removeprefix("unix://"))
            except OSError as error:
                return error.strerror or str(error)
    import docker

    try:
        client = docker.DockerClient(base_url=url, timeout=5)
        try:
            client.ping()
        finally:
            client.close()
    except (docker.errors.DockerException, OSError) as error:
        return str(error).strip() or type(error).__name__
    return ""


def _owner() -> str:
    """This machine and its cache, as nobody else on the same engine is called.

    Containers in which people develop may agree in their host names, too, and in all paths: the password of the cache,
    which was made at random, is what differs.
    """
    store = folders.cache().path
    return folders.digest(f"{platform.node()} {store} {data_folders.password(store)}", 16)


class ContainerProgram:
    """`protocol.Program`: a small process that runs a container in the foreground, and what the kind's own can do.

    Args:
        own: the kind's program, for everything that is asked of the running server.
        engine: the URL of the engine's API.
        image: what is run.
        version: which of its versions.
    """

    executables: ClassVar[tuple[str, ...]] = (Path(sys.executable).name,)
    refuses_root: ClassVar[bool] = False

    def __init__(self, own: Program, engine: str, image: Image, version: str) -> None:
        self._own = own
        self._engine = engine
        self._image = image
        self._version = version

    def version(self, binaries: Path) -> str:
        """The version of the image: "18"; the server itself may tell more of it."""
        del binaries
        return self._version

    def lacks(self, binaries: Path, spec: ServerSpec) -> str | None:
        """Nothing: that was looked at before."""
        del binaries, spec
        return None

    def fingerprint(self, binaries: Path, spec: ServerSpec) -> str:
        """The image, by its name, and what is put into it."""
        del binaries, spec
        image = self._image
        return folders.digest(f"{image.repository}:{image.tags[self._version]} {json.dumps(dict(image.files))}", 16)

    def initialise(self, binaries: Path, data: Path, spec: ServerSpec, password: str, run: Run) -> None:
        """Only the files that are put into the container: it makes its data itself, and keeps it while it is kept."""
        del binaries, spec, run
        data.mkdir(mode=0o700)
        for path, text in self._image.files.items():
            target = data / path.lstrip("/").replace("/", "_")
            target.touch(mode=0o600)
            target.write_text(text.replace("{password}", password), encoding="utf-8")

    def launch(self, binaries: Path, data: Path, folder: Path, spec: ServerSpec, port: int, durable: bool) -> Launch:
        """The process that runs it. It ends the container before itself, and has no secret in its command line."""
        del spec, durable
        image, owner = self._image, _owner()
        orders = {
            "engine": self._engine,
            "image": f"{image.repository}:{image.tags[self._version]}",
            "name": f"seatrial-{owner[:8]}-{folder.name}",
            "folder": str(folder),
            "owner": owner,
            "port": port,
            "inside": image.port,
            "env": dict(image.env),
            "files": {path: str(data / path.lstrip("/").replace("/", "_")) for path in image.files},
            "command": list(image.command),
        }
        shape = hashlib.sha256(json.dumps([orders, data.stat().st_ino]).encode()).hexdigest()[:16]
        argv = (str(binaries / self.executables[0]), "-c", _RUNNER, json.dumps(sys.path))
        return Launch(
            argv=(*argv, json.dumps({**orders, "shape": shape})),
            cwd=folder,
            log=folder / "log",
            stop_signal=signal.SIGTERM,
            die_signal=signal.SIGTERM,
        )

    def admin(self, port: int, password: str) -> Address:
        """As on a server of this machine."""
        return self._own.admin(port, password)

    def answers(self, endpoint: Endpoint) -> bool:
        """One real query of the protocol."""
        return self._own.answers(endpoint)

    def asked_version(self, endpoint: Endpoint) -> str:
        """What the server tells."""
        return self._own.asked_version(endpoint)
