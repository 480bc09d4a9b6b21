"""What a made-up test does, and what it sees when it begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from seatrial.errors import SeatrialError

from .fleet import Fleet

COMMON = [
    "insert into a (v) values ('p')",
    "insert into a (v) values ('q')",
    "insert into a (v, n) values ('r', -1)",
    "insert into a (id, v) values (50, 'far')",
    "insert into a (v) values ('z') returning id",
    "update a set n = n + 1 where id = 1",
    "update a set n = -5 where id = 2",
    "delete from a where id = 2",
    "insert into b (a_id, v) values (3, 'w')",
    "update b set v = 'changed'",
    "delete from b where id = 1",
    "insert into c values ('free')",
    "delete from c",
    "insert into u (v) values ('u')",
]
READS = ["select * from a order by id", "select * from b order by id", "select * from c order by v"]
FAILURES = ["select nothing", "selec", "insert into nowhere values (1)"]
NESTED = ["savepoint x", "rollback to savepoint x", "release savepoint x"]
DDL = [
    "create table d (x int)",
    "insert into d values (1)",
    "drop table d",
    "alter table c add column extra int",
    "create index ix on c (v)",
    "drop table c",
    "create view seen as select v from c",
    "create table d as select * from a",
]
POSTGRES = [
    "insert into b (a_id, v) values (99, 'dangling')",
    "insert into a (id, v) values (99, 'to it')",
    "set constraints all immediate",
    "select nextval('s')",
    "select setval('s', 40)",
    "create temp table d (x int)",
    "set search_path to pg_catalog, public",
    "set local search_path to pg_catalog",
    "set work_mem to '8MB'",
    "set timezone to 'Asia/Tokyo'",
    "set default_transaction_read_only = on",
    "select pg_advisory_lock(7)",
    "listen ch",
    "declare cur cursor with hold for select * from a",
    "truncate a cascade",
    "truncate b restart identity",
    "alter sequence s increment 5",
    "create role made_r",
    "set role made_r",
    "create schema other",
    "drop schema public cascade",
    "drop trigger t on b",
]
SQLITE = [
    "pragma foreign_keys = on",
    "pragma user_version = 5",
    "create temp table d (x int)",
    "replace into a (id, v) values (1, 'replaced')",
    "drop trigger t",
]
MYSQL = [
    "truncate b",
    "select next value for s",
    "replace into a (id, v) values (1, 'replaced')",
    "create temporary table d (x int)",
    "set sql_mode = ''",
    "set foreign_key_checks = 0",
    "set @x = 5",
    "alter table a auto_increment = 90",
    "set session transaction isolation level read committed",
    "drop trigger t",
]
OF_DIALECT = {"postgresql": POSTGRES, "sqlite": SQLITE, "mysql": MYSQL}
COMMIT, ROLLBACK, CLOSE = "-- commit", "-- rollback", "-- close"
WHO = ["one", "other", "session"]
"""Two connections of the app's engine, and the test's own session."""
CHANGES = ("insert", "update", "delete", "replace")

Work = list[tuple[str, str]]


def work(dialect: str, most: int) -> st.SearchStrategy[Work]:
    """Up to so many transactions, most of which are committed."""
    own = OF_DIALECT[dialect]
    text = st.one_of(*map(st.sampled_from, (COMMON, COMMON, COMMON, READS, FAILURES, NESTED, DDL, own, own)))
    ends = st.sampled_from([[COMMIT]] * 6 + [[ROLLBACK], [CLOSE], []])
    one = st.builds(
        lambda who, texts, end: [(who, each) for each in (*texts, *end)],
        st.sampled_from(WHO),
        st.lists(text, min_size=1, max_size=3),
        ends,
    )
    return st.lists(one, min_size=1, max_size=most).map(lambda parts: [step for part in parts for step in part])


def do(fleet: Fleet, planned: Work) -> list[Any]:
    """What each step gets.

    What would wait for another's lock is left out, as is what sees what another has not committed, which connections
    that share one transaction do. In SQLite DDL outside of a transaction is left out: sqlite3 commits it at once.
    """
    hands = {who: _Hand(fleet, of_test=who == "session") for who in WHO}
    opened, wrote, changed = set[str](), set[str](), set[str]()
    results = []
    for who, text in planned:
        is_end, is_read = text.startswith("--"), text in READS
        is_change = text.startswith(CHANGES)
        if wrote - {who} or (opened - {who} and not is_end and not is_read):
            continue
        if fleet.sort.dialect == "sqlite" and not (is_end or is_read or is_change or who in changed):
            continue
        got = hands[who].do(text)
        results.append(((who, text), got))
        if is_end:
            for each in (opened, wrote, changed):
                each.discard(who)
            continue
        opened.add(who)
        if not is_read:
            wrote.add(who)
        if is_change and not isinstance(got, tuple):
            changed.add(who)
    for hand in hands.values():
        hand.let_go()
    return results


class _Hand:
    """One who takes steps."""

    def __init__(self, fleet: Fleet, *, of_test: bool) -> None:
        self._fleet = fleet
        self._of_test = of_test
        self._connection: Any = None

    def do(self, text: str) -> Any:
        try:
            if text == CLOSE:
                return self.let_go()
            if self._connection is None:
                self._connection = self._fleet.session() if self._of_test else self._fleet.engine.connect()
            if text in (COMMIT, ROLLBACK):
                return self._connection.commit() if text == COMMIT else self._connection.rollback()
            return _answer((self._connection.connection() if self._of_test else self._connection), text)
        except SeatrialError as error:
            return type(error).__name__, error.what
        except DBAPIError as error:
            return type(error.orig).__name__, str(error.orig).partition("\n")[0]
        except Exception as error:  # noqa: BLE001 - SQLAlchemy's own, as of a transaction that is over
            return type(error).__name__, str(error).partition("\n")[0]

    def let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _answer(connection: Any, text: str) -> Any:
    result = connection.exec_driver_sql(text)
    return [tuple(row) for row in result.fetchall()] if result.returns_rows else result.rowcount


def look(fleet: Fleet) -> list[Any]:
    """All that two connections of the app's pool see, whose work is not done: rows, definitions, their own settings."""
    read = {"postgresql": _postgres, "sqlite": _sqlite, "mysql": _mysql}[fleet.sort.dialect]
    with fleet.engine.connect() as one, fleet.engine.connect() as other:
        return [read(one), read(other)]


def _postgres(connection: Any) -> list[Any]:
    catalog = _answer(
        connection,
        """select c.oid::regclass::text, relkind, (select string_agg(attname || ' ' || atttypid::regtype, ',' order by
        attnum) from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped)
        from pg_class c join pg_namespace n on n.oid = relnamespace
        where nspname !~ '^pg_(catalog|toast)' and nspname <> 'information_schema' order by 1""",
    )
    held = {
        "r": "select '{0}', string_agg(x::text, ';' order by x::text) from {0} x",
        "S": "select '{0}', last_value || ' ' || is_called from {0}",
    }
    parts = [held[kind].format(name) for name, kind, _ in catalog if kind in held]
    state = """select current_user, current_setting('search_path'), current_setting('timezone'),
        current_setting('work_mem'), current_setting('default_transaction_read_only'),
        (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
        (select count(*) from pg_listening_channels()), (select count(*) from pg_cursors where name = 'cur'),
        (select string_agg(rolname, ',') from pg_roles where rolname like 'made%%'), to_regnamespace('other')::text,
        (select count(*) from pg_trigger where tgname = 't')"""
    return [catalog, _answer(connection, " union all ".join(parts)), _answer(connection, state)]


def _sqlite(connection: Any) -> list[Any]:
    catalog = _answer(connection, "select type, name, sql from sqlite_master order by 1, 2")
    rows = [_answer(connection, f"select * from {name}") for sort, name, _ in catalog if sort == "table"]
    state = [_answer(connection, f"pragma {name}") for name in ("foreign_keys", "user_version")]
    return [catalog, rows, _answer(connection, "select name from sqlite_temp_master"), state]


def _mysql(connection: Any) -> list[Any]:
    catalog = _answer(
        connection,
        """select table_name, table_type, auto_increment from information_schema.tables where table_schema = database()
        order by 1""",
    )
    rows = [sorted(map(repr, _answer(connection, f"select * from {name}"))) for name, _, _ in catalog]
    made = [_answer(connection, f"show create table {name}") for name, _, _ in catalog]
    state = "select @@sql_mode, @@foreign_key_checks, @@tx_isolation, @x"
    triggers = (
        "select trigger_name, action_statement from information_schema.triggers where trigger_schema = database()"
    )
    return [catalog, rows, made, _answer(connection, triggers), _answer(connection, state)]


def is_comparable(results: Sequence[Any]) -> bool:
    """Whether no step was refused by us."""
    return not any(isinstance(got, tuple) and got[0] == "IsolationError" for _, got in results)
