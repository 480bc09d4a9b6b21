"""Keys of content: equal keys mean equal files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

_NOT_CONTENT = ("__pycache__", ".git", ".DS_Store")


def key(*parts: str | bytes) -> str:
    """A key of these parts, in this order; where one part ends and the next begins matters."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


def of_files(paths: Iterable[Path], root: Path) -> str:
    """A key of these files: their names relative to `root`, and what is in them. Their order does not matter."""
    parts: list[str | bytes] = []
    for path in sorted(set(paths)):
        name = path.relative_to(root) if path.is_relative_to(root) else path
        parts += [name.as_posix(), path.read_bytes()]
    return key(*parts)


def below(folder: Path) -> list[Path]:
    """All files in a folder and its folders, without what tools leave there."""
    return matching("**/*", folder)


def matching(pattern: str, root: Path) -> list[Path]:
    """The files that a glob names, without what tools leave beside them; a `**` at its end is all that is below."""
    if pattern.endswith("**"):
        pattern += "/*"
    return [
        path
        for path in root.glob(pattern)
        if path.is_file() and path.suffix != ".pyc" and not set(_NOT_CONTENT) & set(path.relative_to(root).parts)
    ]
