"""What it costs to bring one PostgreSQL copy back to its baseline: medians in milliseconds, in one run.

    python benchmarks/reset.py [HOST-FOLDER-OF-THE-SOCKET PORT PASSWORD]

Without arguments it serves the embedded PostgreSQL itself. Each figure is wall time of `Copy.undo()` (or
`renew()`), after the test's last statement and before `late_writes()`, which has a row of its own.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from seatrial.resources import resolve
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.protocol import Address, Endpoint, Requirements


@contextmanager
def served() -> Iterator[Endpoint]:
    if len(sys.argv) == 4:
        folder, port, password = sys.argv[1:]
        admin = Address(
            scheme="postgresql",
            host="127.0.0.1",
            port=int(port),
            user="seatrial",
            password=password,
            database="postgres",
        )
        yield Endpoint(kind="postgres", provider="argument", version="", admin=admin, socket_folder=Path(folder))
        return
    spec = Postgres().spec(Requirements.of(project=Path.cwd()))
    server = resolve.resolve(spec).provider.reserve(spec)
    server.start()
    try:
        yield server.endpoint
    finally:
        server.release()


def schema(tables: int, seed: int = 0) -> str:
    script = "".join(f"create table t{n} (id serial primary key, v text, n int default 0);" for n in range(tables))
    if seed:
        script += f"create table big (id int primary key, v text, n int); insert into big select g, 'v' || g, g from generate_series(1, {seed}) g;"
    return script


def timed(times: int, before: Callable[[int], object], act: Callable[[], object], after: Callable[[], object]) -> str:
    spent = []
    for number in range(times):
        before(number)
        start = time.perf_counter()
        act()
        spent.append((time.perf_counter() - start) * 1e3)
        after()
    spent.sort()
    return f"{statistics.median(spent):9.2f} {spent[int(len(spent) * 0.95)]:9.2f}"


def main() -> None:
    with served() as endpoint:
        store = Postgres().open(endpoint, Postgres().spec(Requirements.of(project=Path.cwd())))
        print(f"PostgreSQL {store.locale}; log: {store.abilities.log or 'read'}\n{'':58} {'median':>9} {'p95':>9}")
        for tables, seed in ((20, 0), (200, 0), (20, 1_000_000)):
            key, name = f"benchmark {tables} {seed} 1", "benchmark"
            store.build(key, name, lambda target, n=tables, s=seed: target.execute(schema(n, s)))
            copy = store.checkout(key, name)
            label = f"{tables} tables" + (f", {seed:,} seed rows" if seed else "")
            measure(copy, label, seed)
            store.drop(name)
        store.close()


def measure(copy, label: str, seed: int) -> None:
    app = copy.connect()
    app.autocommit = True

    def rest() -> None:
        copy.late_writes()
        copy.tidy()

    def six(_: int) -> None:
        with app.transaction():
            for _ in range(3):
                app.execute("insert into t1 (v) values ('x')")
                app.execute("insert into t2 (v) values ('x')")

    def thirty(number: int) -> None:
        at = number * 7919 % (seed - 400_000)
        with app.transaction():
            app.execute("update big set v = 'x' where id = any(%s)", ([at + n * 30_011 for n in range(1, 11)],))
            app.execute("delete from big where id = any(%s)", ([at + n * 31_013 for n in range(1, 11)],))
            app.execute("insert into big select 2000000 + g from generate_series(1, 10) g")

    def show(what: str, figures: str) -> None:
        print(f"{label + ': ' + what:58} {figures}", flush=True)

    show("nothing was written by anyone", timed(300, lambda _: None, copy.undo, rest))
    show("6 rows inserted into 2 tables", timed(500, six, copy.undo, rest))
    show("late_writes() after that", timed(300, lambda n: (six(n), copy.undo()), copy.late_writes, copy.tidy))
    show(
        "one row read, with others writing the log",
        timed(
            300,
            lambda _: app.execute("select * from t1; select pg_logical_emit_message(true, 'x', 'y')"),
            copy.undo,
            rest,
        ),
    )
    if seed:
        show("10 updated, 10 deleted, 10 inserted", timed(100, thirty, copy.undo, rest))
    else:
        names = ", ".join(f"t{n}" for n in range(20))
        show(
            "for comparison: TRUNCATE of 20 tables",
            timed(20, six, lambda: app.execute(f"truncate {names} restart identity"), copy.undo),
        )
        show("the undo of that TRUNCATE", timed(10, lambda _: app.execute(f"truncate {names}"), copy.undo, rest))
    app.close()
    show("a fresh clone, none being ready", timed(5, lambda _: None, copy.renew, lambda: None))
    show("a fresh clone, one being ready", timed(8, lambda _: time.sleep(0.7), copy.renew, lambda: None))


if __name__ == "__main__":
    main()
