"""Where a project's configuration is: asked by every project that has us installed, so it costs next to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seatrial.config import NODE, SHARED, STANDALONE
from seatrial.errors import ConfigError

_MENTIONS: Mapping[str, bytes] = {SHARED: b"tool.seatrial", NODE: b'"seatrial"'}
"""What a file that others use as well must hold before it is parsed."""


def find(start: Path) -> Path | None:
    """The nearest configuration file in `start` or above it, or None where the project has none.

    Looks no higher than the folder that holds `.git`. A `pyproject.toml` is read as bytes and parsed
    only if it mentions `tool.seatrial` (written so: `[tool.seatrial]` or `[tool.seatrial.resources.db]`), a
    `package.json` if it mentions `"seatrial"`.

    Raises:
        ConfigError: a folder holds two configurations, or a file that mentions us is no TOML or no JSON.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        found = _in_folder(folder)
        if found is not None:
            return found
        if (folder / ".git").exists():
            break
    return None


def _in_folder(folder: Path) -> Path | None:
    found = [folder / name for name in (STANDALONE, SHARED, NODE) if holds_ours(folder / name)]
    if len(found) > 1:
        first, second = (path.name for path in found[:2])
        where = {STANDALONE: STANDALONE, SHARED: f"[tool.seatrial] in {SHARED}", NODE: f'"seatrial" in {NODE}'}
        raise ConfigError(
            f"{folder} holds two configurations: {where[first]}, and {where[second]}",
            cause="it can't be known which of the two is meant",
            fix=f"move the keys of {first} to {where[second]}, or delete one of the two",
        )
    return found[0] if found else None


def holds_ours(path: Path) -> bool:
    """Whether this file configures us. One that does not mention us is not parsed, and may be broken."""
    mention = _MENTIONS.get(path.name)
    if mention is None:
        return path.is_file()
    try:
        if mention not in path.read_bytes():
            return False
    except OSError:
        return False
    from seatrial.config.read import configures

    return configures(path)
