"""The four points that a copy of a database answers by itself."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psycopg

from .figure import Broken, Figure, in_turn, timed
from .servers import copy_of, served

SEEDED = (
    "create table t (id serial primary key, v text); insert into t (v) select 'v' || g from generate_series(1, {}) g"
)
CHECKSUM = "select count(*), sum(hashtextextended(t::text, 0)) from t"


def seed_rows(endpoint: Any, rounds: int, rows: int) -> Figure:
    """The same seed rows given back by a copy that has done so often, and by one that is new each time."""
    with ExitStack() as stack:
        veteran, fresh = (stack.enter_context(copy_of(endpoint, SEEDED.format(rows)))[1] for _ in range(2))
        apps = {id(veteran): _app(veteran, stack)}
        before = apps[id(veteran)].execute(CHECKSUM).fetchone()
        given_back = 0

        def once(copy: Any, app: Any) -> float:
            nonlocal given_back
            with app.transaction():
                app.execute("update t set v = 'changed' where id %% %s = 1", [rows // 10])
                app.execute("delete from t where id %% %s = 2", [rows // 10])
                app.execute("insert into t (v) select 'new' from generate_series(1, 10)")
            milliseconds = timed(copy.undo)
            given_back += 20
            if copy.late_writes():
                raise Broken("our own undo was taken for a late write")
            return milliseconds

        def of_veteran() -> float:
            app = apps[id(veteran)]
            app.execute("vacuum t")
            once(veteran, app)
            found = once(veteran, app)
            if app.execute(CHECKSUM).fetchone() != before:
                raise Broken("the seeded table is not what it was")
            return found

        def of_fresh() -> float:
            fresh.renew()
            with fresh.connect() as app:
                app.autocommit = True
                once(fresh, app)  # looks up what the template has in these blocks
                return once(fresh, app)

        for number in range(rounds * 5):
            once(veteran, apps[id(veteran)])
            if number == rounds:  # all rows move: beyond what is given back in place, this takes a clone
                _clustered(veteran, apps, stack)
        times = in_turn(rounds, {"a copy that gave them back often": of_veteran, "a fresh copy": of_fresh})
    return Figure(
        point=f"20 of {rows:,} seed rows updated or deleted, 10 inserted: given back again and again",
        over="a copy that gave them back often",
        under="a fresh copy",
        times=times,
        counted=f"{given_back:,} rows given back, VACUUM and CLUSTER in between, the table's checksum equal each time",
    )


def _clustered(copy: Any, apps: dict[int, Any], stack: ExitStack) -> None:
    from seatrial.errors import NeedsClone

    apps[id(copy)].execute("cluster t using t_pkey")
    try:
        copy.undo()
    except NeedsClone:
        apps[id(copy)].close()
        copy.renew()
        apps[id(copy)] = _app(copy, stack)


def hint_pages(endpoint: Any, rounds: int, rows: int) -> Figure:
    """A test that only reads, on a server with data checksums, whose readers write hint pages into the log."""
    with ExitStack() as stack:
        checked = stack.enter_context(served(checksums=True))
        taken, readers, read = 0, 0, 0

        def reader(server: Any) -> Any:
            copy = stack.enter_context(copy_of(server, SEEDED.format(rows)))[1]
            app = _app(copy, stack)
            admin = stack.enter_context(psycopg.connect(server.admin.url(), autocommit=True))

            def once() -> float:
                nonlocal taken, readers, read
                app.execute("update t set v = v where id % 20 = 0")
                copy.undo()
                copy.late_writes()
                admin.execute("checkpoint")
                app.execute("select count(v) from t")
                undone: list[Any] = []
                milliseconds = timed(lambda: undone.append(copy.undo()))
                readers += 1
                taken += undone[0].path != "nothing"
                if server is checked:
                    read += int(undone[0].read.split()[0])
                return milliseconds

            return once

        times = in_turn(rounds, {"with data checksums": reader(checked), "without": reader(endpoint)})
    if read < 8192:
        raise Broken("no hint page was logged: this measured nothing")
    if taken:
        raise Broken(f"{taken} of {readers} readers were taken for writers")
    return Figure(
        point="a test that only reads is undone by doing nothing, though its reading is logged as hint pages",
        over="with data checksums",
        under="without",
        times=times,
        counted=f"{taken} of {readers} readers taken for writers; {2 * read / readers / 1024:.0f} KB of the log read for each",
    )


def background_clones(endpoint: Any, rounds: int) -> Figure:
    """Resets beside clones that are made all the time: on the same server, whose log has them too, and on another."""
    tables = "".join(f"create table t{n} (id serial primary key, v text);" for n in range(20))
    with ExitStack() as stack:
        mine = stack.enter_context(copy_of(endpoint, tables))[1]
        app = _app(mine, stack)
        elsewhere = stack.enter_context(served())
        others = {
            "clones on the same server": stack.enter_context(copy_of(endpoint, tables))[1],
            "clones on another server": stack.enter_context(copy_of(elsewhere, tables))[1],
        }
        read, clones = 0, 0

        def reset() -> float:
            nonlocal read
            with app.transaction():
                for _ in range(3):
                    app.execute("insert into t1 (v) values ('x')")
                    app.execute("insert into t2 (v) values ('x')")
            undone: list[Any] = []
            milliseconds = timed(lambda: undone.append(mine.undo()))
            read += int(undone[0].read.split()[0])
            if (undone[0].path, undone[0].rows) != ("log", 6):
                raise Broken(f"a reset beside clones went by {undone[0].path}")
            return milliseconds

        def beside(name: str) -> list[float]:
            nonlocal clones
            over = threading.Event()

            def clone() -> int:
                count = 0
                while not over.is_set():
                    others[name].renew()
                    count += 1
                return count

            with ThreadPoolExecutor(1) as pool:
                cloning = pool.submit(clone)
                try:
                    found = [reset() for _ in range(30)]
                finally:
                    over.set()
                clones += cloning.result() * (name == "clones on the same server")
            return found

        times: dict[str, list[float]] = {name: [] for name in others} | {"no clones": []}
        for number in range(rounds + 1):
            for name in times:
                found = beside(name) if name in others else [reset() for _ in range(30)]
                times[name] += found if number else []
                mine.tidy()
    return Figure(
        point="clones that are made in the background do not slow the reading of the log",
        over="clones on the same server",
        under="clones on another server",
        times=times,
        counted=f"{clones} clones beside {sum(map(len, times.values()))} resets, each from the log",
    )


def roles_and_settings(endpoint: Any, rounds: int, workers: int) -> Figure:
    """Tests that make a role and set a setting, beside others that do the same, and beside themselves without."""
    plain, shared = "rows only", "rows, a role and two settings"
    together = threading.Barrier(workers, timeout=60)
    lost: list[str] = []
    lock = threading.Lock()

    def work(number: int) -> dict[str, list[float]]:
        with ExitStack() as stack:
            copy = stack.enter_context(copy_of(endpoint, "create table t (id serial primary key, v text)"))[1]
            app = _app(copy, stack)
            turns = iter(range(10**6))

            def test(*, role: str) -> float:
                app.execute("insert into t (v) values ('x'), ('y')")
                if role:
                    app.execute(f"create role {role}")
                    app.execute(f"alter role {role} set work_mem = '9MB'")
                    app.execute(f"alter database {copy.address.database} set work_mem = '{number + 1}MB'")
                together.wait()
                if role and not app.execute("select from pg_roles where rolname = %s", [role]).rowcount:
                    with lock:
                        lost.append(role)
                milliseconds = timed(copy.undo)
                if role and app.execute("select from pg_roles where rolname = %s", [role]).rowcount:
                    with lock:
                        lost.append(f"{role}, which stayed")
                together.wait()
                return milliseconds

            rivals = {plain: lambda: test(role=""), shared: lambda: test(role=f"gate_{number}_{next(turns)}")}
            return in_turn(rounds, rivals)

    with ThreadPoolExecutor(workers) as pool:
        found = [one.result() for one in [pool.submit(work, number) for number in range(workers)]]
    if lost:
        raise Broken(f"roles that were taken from their tests, or stayed: {', '.join(lost)}")
    return Figure(
        point=f"roles and settings of the whole server under {workers} workers at once",
        over=shared,
        under=plain,
        times={name: [value for one in found for value in one[name]] for name in (plain, shared)},
        counted=f"{workers * (rounds + 1)} roles: each there until its own test ended, and gone then",
    )


def _app(copy: Any, stack: ExitStack) -> Any:
    connection = copy.connect()
    connection.autocommit = True
    stack.callback(connection.close)
    return connection
