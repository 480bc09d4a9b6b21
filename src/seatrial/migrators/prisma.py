"""A schema from Prisma's migrations, without Node: a folder of folders with a `migration.sql` in each."""

from __future__ import annotations

from pathlib import Path

from seatrial.migrators.sql import SQLFiles

MIGRATION = "migration.sql"


def is_prisma(path: Path) -> bool:
    """Whether a folder holds migrations as Prisma writes them."""
    return any(path.glob(f"*/{MIGRATION}"))


def prisma(path: Path, *, root: Path, label: str) -> SQLFiles:
    """The migrations in the order of their folders' names, which begin with the time.

    Prisma's own table of applied migrations is not written: no client reads it.
    """
    return SQLFiles(label, sorted(path.glob(f"*/{MIGRATION}")), root=root)
