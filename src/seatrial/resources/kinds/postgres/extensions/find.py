"""Which extensions a server has, and where PostgreSQL 18 gets those that it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seatrial.resources.protocol import ServerSpec

_FIRST_WITH_PATHS = 18
"""The PostgreSQL from which extension_control_path says where extensions are."""
_STAND_INS = Path(__file__).parent / "stand_ins"


def missing(binaries: Path, major: int, spec: ServerSpec) -> list[str]:
    """The extensions of `spec` that the server in this folder neither has nor can be brought."""
    return [
        name for name in spec.extensions if not _has(binaries, name) and not _elsewhere(binaries, name, major, spec)
    ]


def brought(binaries: Path, major: int, spec: ServerSpec, folder: Path) -> dict[str, str]:
    """Settings with which the server finds what it lacks: another wheel's extensions, and our stand-ins.

    Its own come first. Stand-ins are written into its `folder`, where whatever user runs it can read them.
    """
    if major < _FIRST_WITH_PATHS:
        return {}
    shares, libraries = [], []
    for other in _lenders(binaries, spec):
        if any(_has(other, name) and not _has(binaries, name) for name in spec.extensions):
            shares += [path.parent for path in control_folders(other)]
            libraries += _libraries(other)
    stand_ins = folder / "share" / "extension"
    for source in sorted(_STAND_INS.glob("*")):
        if not _has(binaries, source.name.partition(".")[0].partition("--")[0]):
            stand_ins.mkdir(parents=True, exist_ok=True)
            (stand_ins / source.name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
            shares += [stand_ins.parent] if stand_ins.parent not in shares else []
    settings = {"extension_control_path": _path("$system", shares)} if shares else {}
    return settings | ({"dynamic_library_path": _path("$libdir", libraries)} if libraries else {})


def control_folders(binaries: Path) -> list[Path]:
    """Where the server in this folder finds extensions: it is told by its own place, as PostgreSQL does it."""
    root = binaries.parent
    candidates = [root / "share" / "extension", root / "share" / "postgresql" / "extension"]
    if root.parent.name == "postgresql":  # Debian: /usr/lib/postgresql/16/bin and /usr/share/postgresql/16
        candidates.append(root.parents[2] / "share" / "postgresql" / root.name / "extension")
    candidates.append(root / "share" / f"{root.name}" / "extension")  # Homebrew's: share/postgresql@16
    return [folder for folder in candidates if folder.is_dir()]


def _has(binaries: Path, name: str) -> bool:
    return any((folder / f"{name}.control").is_file() for folder in control_folders(binaries))


def _elsewhere(binaries: Path, name: str, major: int, spec: ServerSpec) -> bool:
    if major < _FIRST_WITH_PATHS:
        return False
    return (_STAND_INS / f"{name}.control").is_file() or any(_has(other, name) for other in _lenders(binaries, spec))


def _lenders(binaries: Path, spec: ServerSpec) -> Iterator[Path]:
    """The folders of other servers of the same major version, which alone have libraries that fit."""
    from seatrial.errors import ProviderError

    for other in spec.companions:
        if other == binaries or spec.program is None:
            continue
        try:
            versions = [spec.program.version(one).partition(".")[0] for one in (binaries, other)]
        except ProviderError:
            continue
        if versions[0] == versions[1]:
            yield other


def _libraries(binaries: Path) -> list[Path]:
    candidates = (binaries.parent / "lib", binaries.parent / "lib" / "postgresql")
    return [folder for folder in candidates if any(folder.glob("*.so")) or any(folder.glob("*.dylib"))]


def _path(first: str, folders: list[Path]) -> str:
    return ":".join([first, *map(str, folders)])
