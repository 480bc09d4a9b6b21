"""No record of the log is missed, wherever it stands: in the midst of others' writes, across pages and segments."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.postgres.finding.log import LogReader
from seatrial.resources.kinds.postgres.store import PostgresStore
from seatrial.resources.protocol import Endpoint, ServerSpec

READS = 60
PAGE = 8192
LONGER = 300
"""Bytes of a message whose length takes four bytes in its record, as that of any longer one."""


@contextmanager
def writers(connect: Callable[[], psycopg.Connection], count: int) -> Iterator[None]:
    """Connections that fill the log, and never wait for it to be flushed."""
    stop = threading.Event()

    def write() -> None:
        with connect() as connection:
            connection.execute("set synchronous_commit = off")
            while not stop.is_set():
                connection.execute("select pg_logical_emit_message(false, 'noise', repeat('x', 30000))")

    threads = [threading.Thread(target=write) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def opened(endpoint: Endpoint, spec: ServerSpec) -> Iterator[PostgresStore]:
    store = Postgres().open(endpoint, spec)
    try:
        yield store
    finally:
        store.close()


@pytest.mark.parametrize("flushes", [True, False])
def test_each_piece_of_the_log_ends_with_a_whole_record_while_others_write(
    spec, another_server, bench_on, flushes: bool
) -> None:
    """Else the next piece would begin in the midst of one, and skip it."""
    with another_server("wal_writer_delay=1ms", "wal_buffers=64kB") as endpoint, opened(endpoint, spec) as store:
        one = bench_on(store, "create table t (id int)")
        flushes = flushes and store.abilities.flushes
        log = LogReader(store._reader, one.copy._clone.oid, one.copy._clone._log.position, near=None, flushes=flushes)
        log.taken(log.read()[0])
        positions = [log.position]
        with writers(lambda: psycopg.connect(endpoint.admin.url(), autocommit=True), 2):
            for _ in range(READS):
                log.taken(log.read()[0])
                positions.append(log.position)
        log.taken(log.read()[0])
        ends = store._reader.rows(
            f"select end_lsn::text from pg_get_wal_records_info('{positions[0]}', '{log.position}')"
        )
        assert set(positions) <= {positions[0], *(end for (end,) in ends)}
        store.drop(one.name)


def commit_before_the_end(app: psycopg.Connection, unit: int, left: int) -> None:
    """COMMIT so that its record begins `left` bytes before the end of a part of the log that is `unit` bytes long."""

    def fill(size: int) -> int:
        app.execute("select pg_logical_emit_message(false, '', repeat('x', %s))", (size,))
        return position()

    def position() -> int:
        return app.execute("select (pg_current_wal_insert_lsn() - '0/0')::bigint").fetchone()[0]

    end = (position() + PAGE // 2) // unit * unit + unit
    while end - position() > 2 * PAGE:
        fill((end - position()) * 9 // 10 - PAGE)
    while end - position() > PAGE * 3 // 4:
        fill(PAGE // 4)
    before = position()
    overhead = fill(LONGER) - before - LONGER
    fill(end - left - position() - overhead)
    app.execute("commit")


@pytest.mark.parametrize("unit", ["page", "segment"])
def test_a_role_is_dropped_though_the_commit_that_made_it_goes_across_the_end_of_a(
    embedded_store, bench_on, unit: str
) -> None:
    one = bench_on(embedded_store, "create table t (id int)")
    with one.connect() as app:
        app.execute("set synchronous_commit = off")
        size = app.execute("select pg_size_bytes(current_setting('wal_segment_size'))").fetchone()[0]
        for left in range(8, 80, 8):
            app.execute("begin")
            app.execute("create role made_at_an_end")
            commit_before_the_end(app, PAGE if unit == "page" else size, left)
            assert one.copy.undo().notes, f"{left} bytes before the end"
            assert not app.execute("select 1 from pg_roles where rolname = 'made_at_an_end'").fetchall()
    embedded_store.drop(one.name)
