"""What the audit remembers of a database: digests of everything, and the text of what is small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

FIRST_LATER = 16384
"""The first object identifier that initdb does not give (`FirstNormalObjectId` of PostgreSQL)."""

Half = tuple[str, bool]
"""A system catalog's name, and whether the rows are those that initdb has made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as text. Two rows are equal if their `text` is."""

    key: str
    """The primary key as people write it, "id=3, lang=de"; empty where there is none."""
    text: str
    """The whole row as PostgreSQL writes a record: `(3,de,"a b",)`."""
    transaction: str = field(default="", compare=False)
    """The transaction that wrote this version of it (`xmin`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """All rows of one table, in no order."""

    count: int
    digest: str
    """The sum of the rows' 64-bit hashes: duplicates count, order does not."""
    kept: tuple[Row, ...] | None = None
    """The rows themselves, where they were few and the snapshot is a baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A whole database at one moment."""

    tables: Mapping[str, Rows]
    """By qualified name: ordinary and unlogged tables, partitions, materialized views, large objects."""
    values: Mapping[tuple[str, str], str]
    """What is one value each, by kind and name: ("sequence", "public.users_id_seq") -> "last_value 3, called"."""
    catalogs: Mapping[Half, str]
    """The digest of each half of each system catalog, object identifiers included."""
    meaning: Mapping[Half, Counter[tuple[str, str]]] = field(default_factory=dict)
    """What it says, as (object, definition) without object identifiers: of a baseline, where nobody can tell later."""
    unseen: tuple[str, ...] = ()
    """What the connection had no right to read, and the audit therefore can't vouch for."""
