"""What the tests of the benchmark have in their databases, and what they write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MODULE = '''"""The tables: an id from a sequence, a text (so each has a TOAST table), a number."""

from sqlalchemy import Column, Integer, MetaData, Table, Text

metadata = MetaData()
for name in [*(f"t{{n}}" for n in range({tables})), *{more}]:
    columns = Column("id", Integer, primary_key=True), Column("v", Text), Column("n", Integer, server_default="0")
    Table(name, metadata, *columns)
'''
"""A project's module, from which Seatrial and its peers make the same schema."""

SEED = "insert into big (v, n) select 'v' || g, g from generate_series(1, {rows}) g;"
CHECKSUM = "select count(*), sum(hashtextextended(b::text, 0)) from big b"

SIX = ("insert into t0 (v) values ('x')", "insert into t1 (v) values ('x')") * 3
"""What a test writes: 6 rows into 2 of the tables, committed by one transaction."""


def module(tables: int, rows: int) -> str:
    """The text of the module: `tables` tables, and one more for `rows` seeded rows."""
    return MODULE.format(tables=tables, more=["big"] if rows else [])


def six(execute: Callable[[str], Any]) -> None:
    """The test's own work, 6 round trips."""
    for statement in SIX:
        execute(statement)


def thirty(execute: Callable[[str], Any], number: int, rows: int) -> None:
    """10 rows updated, 10 deleted, 10 inserted, all over the seeded table; other rows for each `number`."""

    def spread(step: int) -> str:
        return ", ".join(str(1 + (number * 7919 + n * step) % rows) for n in range(10))

    execute(f"update big set v = 'changed' where id in ({spread(rows // 10 - 1)})")
    execute(f"delete from big where id in ({spread(rows // 11)})")
    execute("insert into big (v, n) select 'new', g from generate_series(1, 10) g")
