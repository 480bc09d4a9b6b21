"""What an app gets to see in rollback, statement by statement, is what it sees where its commits are commits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import TransactionStatus
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from tests.fuse import EACH

from seatrial.errors import IsolationError

READS = [
    "select count(*), max(id), sum(stock), string_agg(name, ',' order by id) from product where id > 18 or stock <> 10",
    "select (select count(*) from customer), (select count(*) from orders), (select count(*) from line)",
    "select (select array_agg(id order by id) from person), (select array_agg(id order by id) from team)",
    "fetch 2 from c",
]
FAILURES = ["select 1 / 0", "select nothing", "selec"]
WRITES = [
    "insert into product (name) values ('a') returning id",
    "insert into product (name) values ('b') returning id",
    "insert into product (name) values ('a') on conflict do nothing",
    "update product set stock = stock + 1 where id = 1 returning stock",
    "update product set cost = -1 where id = 1",
    "delete from customer where id = 2",
    "insert into person values (9, 9)",
    "insert into team values (9, 9)",
    "delete from person where id = 9",
    "select nextval('ticket')",
    "select id from product where id = 1 for update",
    "with made as (insert into product (name) values ('c') returning id) select * from made",
    "do $$ begin insert into product (name) values ('d'); end $$",
]
NESTED = [
    "savepoint a",
    'SAVEPOINT "A"',
    "savepoint b",
    "rollback to a",
    "rollback work to savepoint b",
    'rollback to "A"',
    "release a",
    "release savepoint b",
]
ENDS = ["begin", "commit", "rollback", "end", "abort", "start transaction", "begin read only"]
ENDS += ["commit and chain", "rollback and chain"]
CONNECTION = [
    "set constraints all immediate",
    "set constraints all deferred",
    "declare c cursor for select id from product order by id",
    "declare c cursor with hold for select id from product order by id",
    "close c",
    "close all",
    "prepare p as select count(*) from product",
    "execute p",
    "deallocate p",
    "deallocate prepare all",
    "discard all",
    "lock table trail",
]
SCRIPTS = [
    "insert into product (name) values ('e'); insert into product (name) values ('f')",
    "insert into product (name) values ('e'); select 1 / 0",
    "insert into product (name) values ('e'); commit; insert into product (name) values ('g')",
    "begin; insert into product (name) values ('h')",
    "insert into product (name) values ('e'); commit; select 1 / 0",
    "insert into product (name) values ('e'); rollback; insert into product (name) values ('i')",
    "begin; insert into product (name) values ('j'); commit",
    "savepoint a; insert into product (name) values ('k'); rollback to a",
    "prepare p as select 1; execute p; deallocate p",
    "select 1; begin; select 1 / 0",
    "select 1; delete from customer where id = 2",
    "begin; declare c cursor for select 1; fetch c; commit",
]
CALLS = ["commit", "commit", "rollback", "close", "begin nested", "begin nested", "commit nested", "roll back nested"]
STREAMS = ["stream", "fetch", "fetch", "fetch all"]


def steps(*sorts: Sequence[Any]) -> st.SearchStrategy[list[tuple[int, Any]]]:
    """What is done, and by which of two."""
    return st.lists(st.tuples(st.integers(0, 1), st.one_of(*map(st.sampled_from, sorts))), max_size=14)


@dataclass
class Wire:
    """A connection of psycopg's."""

    connection: psycopg.Connection[Any]
    extended: bool = False

    def do(self, statement: str) -> Any:
        self.extended = not self.extended
        try:
            cursor = self.connection.execute(statement, prepare=self.extended and ";" not in statement)
            got: Any = [(cursor.statusmessage, cursor.fetchall() if cursor.description else None)]
            while cursor.nextset():
                got.append((cursor.statusmessage, cursor.fetchall() if cursor.description else None))
        except psycopg.Error as error:
            got = error.sqlstate, str(error).partition("\n")[0]
        return got, self.connection.info.transaction_status

    @property
    def is_open(self) -> bool:
        return self.connection.info.transaction_status != TransactionStatus.IDLE

    @property
    def has_failed(self) -> bool:
        return self.connection.info.transaction_status == TransactionStatus.INERROR


@dataclass
class Session:
    """A session of SQLAlchemy's."""

    session: Any
    nested: list[Any] = field(default_factory=list)
    rows: Any = None
    has_failed: bool = False

    def do(self, what: str) -> Any:
        try:
            if what in STREAMS:
                return self._stream(what)
            return self._call(what) if what in CALLS else self._execute(what)
        except SQLAlchemyError as error:
            self.has_failed = True
            return type(error), re.sub(r'"c_[^"]+"', "", str(error).partition("\n")[0])

    def close(self) -> None:
        try:
            self.session.close()
        except SQLAlchemyError:  # a savepoint whose COMMIT was refused is more than it can close
            self.session.invalidate()

    @property
    def is_open(self) -> bool:
        return bool(self.session.in_transaction())

    def _call(self, what: str) -> Any:
        if what == "begin nested":
            self.nested.append(self.session.begin_nested())
        elif what.endswith("nested"):
            if self.nested:
                last = self.nested.pop()
                last.commit() if what == "commit nested" else last.rollback()
                self.has_failed = False
        else:
            self.nested.clear()
            getattr(self.session, what)()
            self.has_failed = False
        return what

    def _stream(self, what: str) -> Any:
        if what == "stream":
            query = text("select id from product order by id")
            self.rows = self.session.execute(query, execution_options={"yield_per": 2})
        elif self.rows is not None:
            return self.rows.fetchone() if what == "fetch" else self.rows.all()
        return what

    def _execute(self, statement: str) -> Any:
        result = self.session.execute(text(statement))
        return [tuple(row) for row in result] if result.returns_rows else None


def run(both: Sequence[Any], planned: Iterable[tuple[int, Any]], *, may_wait: bool) -> list[Any]:
    """What each step gets.

    Where it may wait, what would wait for the other's locks is left out, as is what two that share one connection see
    and others do not: what is not committed.
    """
    results: list[Any] = []
    wrote, nests = [False, False], [False, False]
    for who, what in planned:
        other = 1 - who
        sees = not wrote[other] or (both[other].has_failed and not nests[other] and what in READS)
        if may_wait and not sees:
            continue
        results.append(((who, what), both[who].do(what)))
        wrote[who] = both[who].is_open and (wrote[who] or what not in (*READS, *STREAMS))
        nests[who] = both[who].is_open and (nests[who] or "savepoint" in what.lower() or "nested" in what)
    return results


def is_like_reset(sea, resource: str, planned: list[tuple[int, Any]], opened: Callable[[ExitStack], Any]) -> None:
    with sea.one_test("reset", resource), ExitStack() as stack:
        real = run([opened(stack) for _ in range(2)], planned, may_wait=True)
    try:
        with sea.one_test("rollback", resource) as test, ExitStack() as stack:
            joined = run([opened(stack) for _ in range(2)], [step for step, _ in real], may_wait=False)
    except IsolationError:
        return  # refused, and told
    assert test.told or joined == real


@settings(max_examples=8 * EACH, suppress_health_check=list(HealthCheck), deadline=None)
@given(planned=steps(READS, FAILURES, WRITES, NESTED, ENDS, ENDS, CONNECTION, SCRIPTS))
def test_on_the_wire_each_statement_gets_the_same_answer(sea, planned):
    is_like_reset(
        sea,
        "plain",
        planned,
        lambda stack: Wire(stack.enter_context(closing(psycopg.connect(sea.url("plain"), autocommit=True)))),
    )


@settings(max_examples=8 * EACH, suppress_health_check=list(HealthCheck), deadline=None)
@given(planned=steps(READS[:3], FAILURES, WRITES, CALLS, CALLS, STREAMS, NESTED, CONNECTION[:2]))
def test_below_sqlalchemy_each_statement_gets_the_same_answer(sea, planned):
    sea.start("db")
    is_like_reset(sea, "db", planned, lambda stack: stack.enter_context(closing(Session(sea.app.SessionLocal()))))
