"""The proposal as TOML, added to a project's file without touching what stands there."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from seatrial.cli.proposal.decide import RESOURCE, Proposal
from seatrial.config import NODE, SHARED, STANDALONE
from seatrial.errors import ConfigError

_HINTS: Mapping[str, str] = {
    "app": '# app = "app.main:app"  # fill in: or a factory, "app.main:create_app()"',
    f"resources.{RESOURCE}.schema": '# schema = "alembic.ini"  # or "app.database:Base", or a file of SQL',
    f"resources.{RESOURCE}.override": '# override = "app.database:get_db"  # what yields a session, if any',
}
_NODE_HINTS: Mapping[str, str] = {
    **_HINTS,
    f"resources.{RESOURCE}.schema": '# schema = "npx typeorm migration:run -d dist/source.js"  # or a folder of SQL',
}
_ORDER = ("app", "kind", "schema", "override", "env")


def target(root: Path) -> Path:
    """The file to write: `pyproject.toml` where there is one, a `seatrial.toml` otherwise.

    Raises:
        ConfigError: the project is configured already, or its pyproject.toml is no TOML.
    """
    from seatrial.config.find import holds_ours
    from seatrial.config.read import configures

    standalone, shared, node = root / STANDALONE, root / SHARED, root / NODE
    for file in (standalone, node):
        if holds_ours(file):
            raise _configured(file)
    if not shared.exists():
        return standalone
    if configures(shared):
        raise _configured(shared)
    return shared


def text(proposal: Proposal, file: Path) -> str:
    """The tables to write, with a commented line for each key that is still to be filled in."""
    above = "tool.seatrial" if file.name == SHARED else ""
    hints = _NODE_HINTS if proposal.javascript else _HINTS
    lines = [f"[{above}]"] if above else []

    def line(key: str, full: str) -> list[str]:
        if value := proposal.value(full):
            return [f"{key} = {literal(value)}"]
        return [hints[full]] if full in proposal.missing else []

    for key in ("app", "adapt"):
        lines += line(key, key)
    tables = dict.fromkeys(".".join(one.key.split(".")[:2]) for one in proposal.entries if "." in one.key)
    asked = [table for table in tables if table.startswith("services.")]
    database = f"resources.{RESOURCE}"
    for table in dict.fromkeys((*asked, database, *tables)):
        found = [line(key, f"{table}.{key}") for key in _ORDER]
        if any(found):
            lines += ["", f"[{above}.{table}]" if above else f"[{table}]", *chain.from_iterable(found)]
    return "\n".join(lines).strip("\n") + "\n"


def write(file: Path, tables: str) -> None:
    """Add `tables` at the end of `file`; every byte that stood there stays.

    Raises:
        ConfigError: the file can't take a table at its end, or can't be written. It is unchanged then.
    """
    try:
        before = file.read_bytes() if file.exists() else b""
        newline = b"\r\n" if b"\r\n" in before else b"\n"
        gap = b"" if not before else newline if before.endswith(b"\n") else newline * 2
        after = before + gap + tables.encode().replace(b"\n", newline)
        tomllib.loads(after.decode("utf-8-sig"))
        file.write_bytes(after)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{file} can't take another table at its end",
            cause=str(error),
            fix=f"add these lines by hand; in a {STANDALONE} they stand without `tool.seatrial`:\n{tables}",
        ) from error
    except OSError as error:
        raise ConfigError(f"{file} can't be written", cause=str(error.strerror), fix="check its permissions") from error


def literal(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_bare(key)} = {literal(one)}" for key, one in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(literal, value)) + "]"
    # JSON's escapes are TOML's, but for DEL, which JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else repr(value)


def _bare(key: str) -> str:
    return key if key.replace("_", "a").replace("-", "a").isalnum() and key.isascii() else literal(key)


def _configured(file: Path) -> ConfigError:
    return ConfigError(
        f"{file} already configures Seatrial",
        fix="edit it, or remove its tables and run `seatrial init` again; `seatrial doctor` checks it",
    )
