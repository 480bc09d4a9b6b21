"""What a database is made of besides its rows: read as the statements that make another one like it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from seatrial.resources.kinds.mysql.connection import Link, identifier, literal

_COUNTER = re.compile(r" AUTO_INCREMENT=\d+")
_COMPARED: Mapping[str, str] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "bit"), "{}"),
    **dict.fromkeys(("date", "datetime", "timestamp", "time", "year"), "{}"),
    **dict.fromkeys(
        ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"), "CAST({} AS BINARY)"
    ),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), "{}"),
    "json": "CAST(CAST({} AS CHAR) AS BINARY)",
}
"""How a column is compared, by its type: to the byte, whatever its collation; any other type in hexadecimal."""
_OPTIONS = re.compile(r"^CREATE DATABASE `(?:[^`]|``)*`\s*")
"""What stands before the options of a database. Some servers know its name in small letters."""
_ROUTINES = ("PROCEDURE", "FUNCTION", "PACKAGE", "PACKAGE BODY")
_MODE, _COLLATION = "sql_mode", "collation_connection"
TEMPLATE, LAYER, ASIDE = _STORED = ("seatrial_t_", "seatrial_l_", "seatrial_s_")
"""What the names of databases begin with in which nobody works."""
_AWAKE = re.compile(r"( ON COMPLETION (?:NOT )?PRESERVE )ENABLE\b")
_ASLEEP = re.compile(r"( ON COMPLETION (?:NOT )?PRESERVE )DISABLE ON (?:SLAVE|REPLICA)\b")
"""How an event is told that runs, and one that waits until its database is used: as on a server that replicates."""
_ELSEWHERE = ("MRG_MYISAM", "FEDERATED", "CONNECT", "SPIDER")
"""Engines that keep no rows of their own: to copy these would be to write them once more where they are."""
_BASE, _SEQUENCE, _VIEW, _VERSIONED = "BASE TABLE", "SEQUENCE", "VIEW", "SYSTEM VERSIONED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table."""

    name: str
    create: str = field(compare=False)
    meaning: str
    """`create` without the counter of AUTO_INCREMENT."""
    columns: Mapping[str, str]
    """Those that can be written, each with the expression by which it is compared."""
    key: tuple[str, ...]
    """The columns of the primary key; empty where there is none."""
    elsewhere: bool
    """Whether its rows are those of other tables, or of another server."""
    versioned: bool = False
    """Whether the server keeps what its rows were before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A view, trigger, routine or event: its statement, and the settings in which it was written."""

    sort: str
    name: str
    create: str
    settings: Mapping[str, str]
    """Of the session: what the server makes of the statement depends on them."""
    table: str = ""
    """The table of a trigger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """A whole database, without its rows and counters. Equal ones make equal databases."""

    options: str
    """Of the database itself, as in CREATE DATABASE: its character set, collation and comment."""
    tables: Mapping[str, Table]
    sequences: Mapping[str, str]
    stored: tuple[Stored, ...]
    children: Mapping[str, frozenset[str]]
    """By table, those whose rows a change in it may change, by foreign keys: the log does not tell of them."""

    def with_children(self, names: frozenset[str]) -> frozenset[str]:
        """These tables, and all that foreign keys reach from them."""
        found, waiting = set(names), list(names)
        while waiting:
            fresh = self.children.get(waiting.pop(), frozenset()) - found
            found |= fresh
            waiting += fresh
        return frozenset(found)

    def triggers(self, names: frozenset[str]) -> list[Stored]:
        """The triggers of these tables."""
        return [one for one in self.stored if one.sort == "TRIGGER" and one.table in names]


def read(link: Link, database: str) -> Blueprint:
    """Read the database. The link is in it afterwards: names of its own objects are told without its name."""
    link.use(database)
    quoted = literal(database)
    database_is = link.rows(f"SHOW CREATE DATABASE {identifier(database)}")[0][1]
    found = link.rows(
        f"SELECT table_name, table_type, engine FROM information_schema.tables WHERE table_schema = {quoted} ORDER BY 1"
    )
    kinds = {name: kind for name, kind, _ in found}
    engines = {name: str(engine).upper() for name, _, engine in found}
    columns, keys = _columns(link, quoted), _keys(link, quoted)
    tables = {}
    for name, kind in kinds.items():
        if kind in (_BASE, _VERSIONED):
            create = _qualified(link.rows(f"SHOW CREATE TABLE {identifier(name)}")[0][1], database)
            tables[name] = Table(
                name=name,
                create=create,
                meaning=_COUNTER.sub("", create, count=1),
                columns=columns.get(name, {}),
                key=keys.get(name, ()),
                elsewhere=engines[name] in _ELSEWHERE,
                versioned=kind == _VERSIONED,
            )
    sequences = {
        name: link.rows(f"SHOW CREATE SEQUENCE {identifier(name)}")[0][1]
        for name, kind in kinds.items()
        if kind == _SEQUENCE
    }
    views = [name for name, kind in kinds.items() if kind == _VIEW]
    return Blueprint(
        options=_OPTIONS.sub("", database_is),
        tables=tables,
        sequences=sequences,
        stored=tuple(_stored(link, database, views)),
        children=_children(link, quoted),
    )


def is_stored(database: str) -> bool:
    """Whether nobody works in it, so that its events are to wait for a database that is made of it."""
    return database.startswith(_STORED)


def make(link: Link, plan: Blueprint, source: str, target: str) -> None:
    """A new database `target` by the plan, with the rows and counters of `source`. Triggers see none of these rows."""
    link.run(f"CREATE DATABASE {identifier(target)} {plan.options}")
    link.use(target)
    for name, create in plan.sequences.items():
        link.run(create)
        (value,) = link.rows(f"SELECT next_not_cached_value FROM {identifier(source, name)}")[0]
        link.run(f"ALTER SEQUENCE {identifier(name)} RESTART {value}")
    functions = [one for one in plan.stored if one.sort in _ROUTINES]
    for one in functions:
        _run_as_written(link, one, target)
    for table in plan.tables.values():
        link.run(table.create.replace(_HERE, identifier(target)))
    for table in plan.tables.values():
        if table.elsewhere:
            continue
        names = ", ".join(map(identifier, table.columns))
        from_, into = identifier(source, table.name), identifier(target, table.name)
        link.run(f"INSERT INTO {into} ({names}) SELECT {names} FROM {from_}")
    _make_views(link, [one for one in plan.stored if one.sort == "VIEW"], target)
    for one in plan.stored:
        if one.sort in ("TRIGGER", "EVENT"):
            _run_as_written(link, one, target)


def remake(link: Link, triggers: list[Stored], database: str) -> None:
    """The triggers again, as they were written."""
    link.use(database)
    for one in triggers:
        _run_as_written(link, one, database)


def counters(link: Link, database: str) -> dict[str, int]:
    """The next value of AUTO_INCREMENT, and of sequences, by table."""
    quoted = literal(database)
    found = link.rows(
        f"SELECT table_name, auto_increment FROM information_schema.tables "
        f"WHERE table_schema = {quoted} AND auto_increment IS NOT NULL"
    )
    return {name: int(value) for name, value in found}


def sequence_values(link: Link, database: str, names: Iterator[str] | list[str]) -> dict[str, int]:
    """Where each sequence goes on when it has used up what the server holds ready."""
    return {
        name: int(link.rows(f"SELECT next_not_cached_value FROM {identifier(database, name)}")[0][0]) for name in names
    }


_HERE = "\0here\0"
"""Stands for the database itself in statements that must name it."""


def _qualified(create: str, database: str) -> str:
    """The default of a column may be the next value of a sequence, which is told with the name of its database."""
    return re.sub(rf"(?i)\b((?:next|last|set)val\(){re.escape(identifier(database))}\.", rf"\g<1>{_HERE}.", create)


def _columns(link: Link, quoted: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table, column, kind, generated in link.rows(
        f"SELECT table_name, column_name, data_type, generation_expression FROM information_schema.columns "
        f"WHERE table_schema = {quoted} ORDER BY table_name, ordinal_position"
    ):
        if not generated:
            found.setdefault(table, {})[column] = _COMPARED.get(kind.lower(), "HEX({})")
    return found


def _keys(link: Link, quoted: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for table, column in link.rows(
        f"SELECT table_name, column_name FROM information_schema.statistics "
        f"WHERE table_schema = {quoted} AND index_name = 'PRIMARY' ORDER BY table_name, seq_in_index"
    ):
        found[table] = (*found.get(table, ()), column)
    return found


def _children(link: Link, quoted: str) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for parent, child in link.rows(
        f"SELECT referenced_table_name, table_name FROM information_schema.referential_constraints "
        f"WHERE constraint_schema = {quoted} AND (delete_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT') "
        f"OR update_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT'))"
    ):
        found[parent] = found.get(parent, frozenset()) | {child}
    return found


def _stored(link: Link, database: str, views: list[str]) -> Iterator[Stored]:
    quoted = literal(database)
    for name in views:
        _, create, _, collation = link.rows(f"SHOW CREATE VIEW {identifier(name)}")[0]
        # Functions are told with the name of their database, tables without.
        create = re.sub(rf"(?i){re.escape(identifier(database))}\.(?=`(?:[^`]|``)+`\()", f"{_HERE}.", create)
        yield Stored(sort="VIEW", name=name, create=create, settings={_COLLATION: collation})
    for name, sort in link.rows(
        f"SELECT routine_name, routine_type FROM information_schema.routines "
        f"WHERE routine_schema = {quoted} ORDER BY 2, 1"
    ):
        row = link.rows(f"SHOW CREATE {sort} {identifier(name)}")[0]
        yield Stored(sort=sort, name=name, create=row[2], settings={_MODE: row[1], _COLLATION: row[4]})
    for name, table in link.rows(
        f"SELECT trigger_name, event_object_table FROM information_schema.triggers "
        f"WHERE trigger_schema = {quoted} ORDER BY event_object_table, event_manipulation, action_timing, action_order"
    ):
        row = link.rows(f"SHOW CREATE TRIGGER {identifier(name)}")[0]
        yield Stored(
            sort="TRIGGER", name=name, create=row[2], settings={_MODE: row[1], _COLLATION: row[4]}, table=table
        )
    for (name,) in link.rows(
        f"SELECT event_name FROM information_schema.events WHERE event_schema = {quoted} ORDER BY 1"
    ):
        _, mode, zone, create, _, collation, _ = link.rows(f"SHOW CREATE EVENT {identifier(name)}")[0]
        yield Stored(
            sort="EVENT",
            name=name,
            create=_ASLEEP.sub(r"\1ENABLE", create, count=1) if is_stored(database) else create,
            settings={_MODE: mode, _COLLATION: collation, "time_zone": zone},
        )


def _make_views(link: Link, views: list[Stored], target: str) -> None:
    """Views may use each other: one that lacks another waits for the next round."""
    import pymysql

    while views:
        left, error = [], None
        for one in views:
            try:
                _run_as_written(link, one, target)
            except pymysql.MySQLError as lacks:
                left.append(one)
                error = lacks
        if error is not None and len(left) == len(views):
            raise error
        views = left


def _run_as_written(link: Link, one: Stored, target: str) -> None:
    create = one.create.replace(_HERE, identifier(target))
    if one.sort == "EVENT" and is_stored(target):
        create = _AWAKE.sub(r"\1DISABLE ON SLAVE", create, count=1)
    link.run("SET " + ", ".join(f"@seatrial_{name} = @@SESSION.{name}" for name in one.settings))
    link.run("SET SESSION " + ", ".join(f"{name} = {literal(value)}" for name, value in one.settings.items()))
    try:
        link.run(create)
    finally:
        link.run("SET SESSION " + ", ".join(f"{name} = @seatrial_{name}" for name in one.settings))
