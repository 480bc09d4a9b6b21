"""Made-up work, as Hypothesis draws it: what several connections of an app do in one test."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from hypothesis import strategies as st

from .lab import Bench

CONNECTIONS = 3
HURRY = "set lock_timeout = '20ms'; set statement_timeout = '2s'"
"""One thread plays all connections: a lock that another one holds is not waited for."""
END = "-- close"
CUT = "-- cut the wire"
KILL = "-- kill the backend"

TABLES = st.sampled_from(["t0", "t0", "t1", "t2", "t3", "audit_log"])
NUMBERS = st.sampled_from([1, 2, 3, 5, 8, 50])


def templates(*texts: str) -> st.SearchStrategy[str]:
    """Statements with a table and two numbers in them."""
    return st.builds(
        lambda text, table, a, b: text.format(t=table, a=a, b=b), st.sampled_from(texts), TABLES, NUMBERS, NUMBERS
    )


WRITES = templates(
    "insert into {t} (v, n) values ('new', {a})",
    "insert into {t} (v, n) select 'many ' || g, g from generate_series(1, {a}) g",
    "insert into {t} (id, v) values ({a}, 'given') on conflict do nothing",
    "insert into {t} (id, v, r0) overriding system value values ({a}, 'own', {b})",
    "update {t} set n = n + {a} where n % {b} = 0",
    "update {t} set v = repeat('wide', {a} * 40)",
    "update {t} set v = (select string_agg(md5(g::text), '') from generate_series(1, {a} * 100) g) where id < {b}",
    "update {t} set v = E'\\x01\\u00e9\\n\\\\' || {a} where id < {b}",
    "update {t} set r0 = {a}, r1 = {b}",
    "update {t} set id = id + 1000 where n = {a}",
    "update {t} set v = v where n < {a}",
    "delete from {t} where n % {a} = 0",
    "delete from {t} where ctid = (select min(ctid) from {t})",
    "delete from {t}",
    "with gone as (delete from {t} where n < {a} returning v) insert into t0 (v) select v from gone",
    "merge into {t} x using (values ({a}, {b})) s (k, w) on x.n = s.k when matched then update set n = w"
    " when not matched then insert (v, n) values ('merged', w)",
    "insert into t1 (v) select v from {t} limit {a}",
    "update only {t} set n = {a}",
)
BULK = templates(
    "truncate {t}",
    "truncate {t} cascade",
    "truncate {t} restart identity cascade",
    "insert into {t} (v) select 'bulk' from generate_series(1, 2000)",
)
CONTROL = templates(
    "begin", "begin", "begin isolation level serializable", "commit", "commit", "rollback", "savepoint s", "rollback to s",
    "release s", "prepare transaction 'p{a}'", "commit prepared 'p{a}'", "set constraints all immediate", "select 1 / 0",
    END, CUT, KILL,
)  # fmt: skip
OTHER = templates(
    "select nextval('alone')",
    "select nextval('shared') from generate_series(1, {a})",
    "select setval('alone', {a}, false)",
    "select * from {t} for update",
    "select * from {t} for key share",
    "select lo_from_bytea(0, 'large')",
    "select lo_create({a})",
    "select lo_unlink({a})",
    "refresh materialized view seen",
    "select pg_advisory_xact_lock({a})",
    "create temporary table scratch{a} as select * from {t}",
    "copy {t} (v, n) to stdout",
    "select count(*) from {t}",
    "notify somebody, 'x'",
    "set session_replication_role = replica",
)
UPKEEP = templates(
    "vacuum {t}", "vacuum (freeze) {t}", "vacuum full {t}", "analyze {t}", "cluster {t} using {t}_pkey", "reindex table {t}",
    "vacuum", "reindex table concurrently {t}", "refresh materialized view concurrently seen",
)  # fmt: skip
DDL = templates(
    "create table made{a} (id int)",
    "alter table {t} add column extra{a} int default {b}",
    "create index on {t} (r0)",
    "drop table {t} cascade",
    "alter table {t} disable trigger all",
    "alter sequence alone increment {a}",
    "comment on table {t} is '{a}'",
    "alter table {t} alter v set default 'x'",
    "create or replace function note() returns trigger language plpgsql as 'begin return null; end'",
    "drop index if exists {t}_n_idx",
    "alter table {t} set unlogged",
    "alter table {t} set logged",
    "alter index {t}_pkey set (fillfactor = 6{a})",
    "create statistics made{a} on v, n from {t}",
    "create publication made{a} for table {t}",
    "grant select (v) on {t} to public",
    "alter sequence alone owned by {t}.n",
    "alter table {t} set (toast.autovacuum_enabled = false)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One statement on one connection."""

    connection: int
    text: str


def _steps(text: st.SearchStrategy[str]) -> st.SearchStrategy[list[Step]]:
    return st.lists(st.builds(Step, connection=st.integers(0, CONNECTIONS - 1), text=text), min_size=1, max_size=14)


works = _steps(st.one_of(WRITES, WRITES, WRITES, BULK, CONTROL, CONTROL, OTHER, UPKEEP))
"""What one test does."""
works_on_rows = _steps(st.one_of(WRITES, WRITES, WRITES, CONTROL, CONTROL, OTHER))
"""The same without what rewrites tables, as nearly all tests are."""
works_with_ddl = _steps(st.one_of(WRITES, WRITES, CONTROL, OTHER, DDL, DDL))


class Players:
    """The connections of an app. They live from test to test, unless a step ends them, as in a pool."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._open: dict[int, psycopg.Connection[Any]] = {}

    def play(self, steps: list[Step]) -> None:
        """Do it, errors and all."""
        for step in steps:
            with suppress(psycopg.Error):
                self._step(step.connection, step.text)

    def check_in(self) -> None:
        """What a pool does with a connection that comes back outside of a transaction; the others stay as they are."""
        for number, connection in list(self._open.items()):
            if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                try:
                    connection.execute("discard all")
                    connection.execute(HURRY)
                except psycopg.Error:
                    connection.close()
            if connection.closed:
                del self._open[number]

    def close(self) -> None:
        """End them all."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def _step(self, number: int, text: str) -> None:
        connection = self._open.get(number)
        if connection is None or connection.closed:
            connection = self._open[number] = self._bench.connect(f"player {number}")
            connection.execute(HURRY)
        special: dict[str, Callable[[psycopg.Connection[Any]], None]] = {END: _end, CUT: _cut, KILL: self._kill}
        if text in special:
            special[text](connection)
            del self._open[number]
        elif text.startswith("copy"):
            with connection.cursor() as cursor, cursor.copy(text.encode()) as copy:
                list(copy)
        else:
            connection.execute(text.encode())

    def _kill(self, connection: psycopg.Connection[Any]) -> None:
        with self._bench.connect("killer") as killer:
            killer.execute("select pg_terminate_backend(%s)", (connection.info.backend_pid,))
        connection.close()


def _end(connection: psycopg.Connection[Any]) -> None:
    connection.close()


def _cut(connection: psycopg.Connection[Any]) -> None:
    """As the kernel does for a client that is killed: the socket ends without a word."""
    with socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)
    connection.close()
