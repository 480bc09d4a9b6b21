"""What the audit found, and how it is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seatrial.core.redact import redact

SHOWN = 5
"""How many rows a message names one by one."""
WIDTH = 200
"""Characters of a row or a definition that a message shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """One row that is not what it was. `before` is empty for a row too many, `after` for one that is missing."""

    key: str = ""
    before: str = ""
    after: str = ""
    transaction: str = ""
    """The transaction that wrote the row as it is now; of a missing row it can't be told."""

    def __str__(self) -> str:
        name = f"[{self.key}] " if self.key else ""
        if not self.before:
            return f"{name}{_cut(self.after)} is too many (transaction {self.transaction})"
        if not self.after:
            return f"{name}{_cut(self.before)} is missing"
        return f"{name}{_cut(self.before)} became {_cut(self.after)} (transaction {self.transaction})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as in the baseline."""

    kind: str
    """"rows", "sequence", a catalog ("pg_class"), "role", "setting", "prepared transaction", "connection", ..."""
    name: str
    """What it is about, qualified: "public.users"."""
    what: str
    """The difference in words: "2 rows, 1 in the baseline"."""
    rows: tuple[RowChange, ...] = ()
    """At most `SHOWN`."""
    writer: str = ""
    """Who it was, as far as the server still knows; empty where it does not."""

    def __str__(self) -> str:
        lines = [f"{self.kind} {self.name}: {self.what}"]
        lines += [f"  {row}" for row in self.rows]
        if self.writer:
            lines.append(f"  written by: {self.writer}")
        return redact("\n".join(lines))


def changes(before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str, str]]) -> tuple[RowChange, ...]:
    """Pair what is missing with what is too many, by primary key.

    `before` holds (key, text), `after` (key, text, transaction): only rows that are not in both.
    """
    lost = {key: text for key, text in before if key}
    found = [
        RowChange(key=key, before=lost.pop(key, ""), after=text, transaction=transaction)
        for key, text, transaction in after
    ]
    found += [RowChange(key=key, before=text) for key, text in before if not key or key in lost]
    return tuple(found)


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}..."
