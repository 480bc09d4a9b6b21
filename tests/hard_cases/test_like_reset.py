"""What an app gets to see in rollback, statement by statement, is what it sees where its commits are commits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import TransactionStatus
from tests.fuse import EACH

from seatrial.errors import IsolationError

READS = [
    "select count(*), max(id), sum(stock), string_agg(name, ',' order by id) from product where id > 18 or stock <> 10",
    "select (select count(*) from customer), (select count(*) from orders), (select count(*) from line)",
    "select (select array_agg(id order by id) from person), (select array_agg(id order by id) from team)",
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
ENDS = ["begin", "commit", "rollback", "end", "abort", "start transaction"]
ENDS += ["commit and chain", "rollback and chain"]
CONNECTION = [
    "set constraints all immediate",
    "set constraints all deferred",
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
]


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


def run(both: Sequence[Any], planned: Iterable[tuple[int, Any]], *, may_wait: bool) -> list[Any]:
    """What each step gets.

    Where it may wait, what would wait for the other's locks is left out, as is what two that share one connection see
    and others do not: what is not committed. Cursors that SQL declares are
    shared, too, and no steps here.
    """
    results: list[Any] = []
    wrote, nests = [False, False], [False, False]
    for who, what in planned:
        other = 1 - who
        sees = not wrote[other] or (both[other].has_failed and not nests[other] and what in READS)
        if may_wait and not sees:
            continue
        results.append(((who, what), both[who].do(what)))
        wrote[who] = both[who].is_open and (wrote[who] or what not in READS)
        nests[who] = both[who].is_open and (nests[who] or "savepoint" in what.lower())
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
