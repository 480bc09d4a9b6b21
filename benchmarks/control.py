"""What a test costs through the HTTP API, beside the same harness asked directly: medians in milliseconds, one run.

    python benchmarks/control.py [ROUNDS]

Before each way three rows are written to the copy that it undoes (outside the measured part), and it asks for the next
test: undo, check, hand out. The ways take turns, so that a noisy moment meets each of them; on a busy machine the
fastest tenth says more than the median. `select 1` is one round trip of psycopg, `GET /v1/health` one of HTTP to the server's own socket
without any work, and the harness asked directly is the reset alone: there a test can't cost less than the two
together, and the last column is each way as a multiple of that sum, from the medians of this run. A worker's own
socket has no way through the event loop, and may cost less.
"""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from seatrial.config.load import load
from seatrial.control.leases.worker import RemoteTest
from seatrial.harness.compose import compose
from seatrial.harness.run import Run

TABLES = 20
PROJECT = {
    "seatrial.toml": '[resources.db]\nkind = "postgres"\nschema = "schema.sql"\n',
    "schema.sql": "".join(f"create table t{n} (id serial primary key, v text);" for n in range(TABLES)),
}
INSERT = "; ".join(f"insert into t{n} (v) values ('x')" for n in range(3))


@contextmanager
def served(root: Path) -> Iterator[dict[str, Any]]:
    """A server in a process of its own, as test runners have it."""
    command = [sys.executable, "-m", "seatrial", "serve", "--until-stdin-closes", "--socket", str(root / "s")]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.stdin.close()


class Client:
    """One connection that is kept, to a unix socket, as the npm package has it."""

    def __init__(self, path: str, token: str) -> None:
        self._connection = http.client.HTTPConnection("localhost")
        self._connection.sock = socket.socket(socket.AF_UNIX)
        self._connection.sock.connect(path)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        self._connection.request(method, path, json.dumps(body) if body is not None else None, self._headers)
        response = self._connection.getresponse()
        text = response.read()
        assert response.status < 300, text
        return json.loads(text or "null")


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1e3


def measure(root: Path, rounds: int) -> dict[str, list[float]]:
    spent: dict[str, list[float]] = {}
    with served(root) as told:
        client = Client(told["socket"], told["token"])
        worker = client.ask("POST", "/v1/workers", {"worker": "1"})
        url, door = worker["env"]["DATABASE_URL"], Client(worker["socket"], told["token"])
        clone = client.ask("POST", "/v1/clones", {"resource": "db"})
        harness = compose(load(root / "seatrial.toml", environ={}), Run.new(root), served=True)
        harness.start(["db"])
        direct = RemoteTest("direct")
        harness.begin(direct, {}, ["db"])
        client.ask("POST", "/v1/workers/1/next", {"test": "first"})
        with (
            psycopg.connect(url, autocommit=True) as one,
            psycopg.connect(harness.url("db"), autocommit=True) as two,
            psycopg.connect(clone["url"], autocommit=True) as three,
        ):

            def again() -> None:
                harness.end()
                harness.begin(direct, {}, ["db"])

            def both(asked: Client) -> None:
                asked.ask("POST", "/v1/workers/1/checkin", {})
                asked.ask("POST", "/v1/workers/1/checkout", {"test": "next"})

            # What each undoes is written right before it, and where it is undone: the same three rows for all.
            ways: dict[str, tuple[psycopg.Connection[Any] | None, Callable[[], object]]] = {
                "select 1": (None, lambda: one.execute("select 1").fetchone()),
                "GET /v1/health": (None, lambda: client.ask("GET", "/v1/health")),
                "the harness, asked directly": (two, again),
                "POST checkin, POST checkout": (one, lambda: both(client)),
                "  at the worker's own socket": (one, lambda: both(door)),
                "POST /v1/workers/1/next": (one, lambda: client.ask("POST", "/v1/workers/1/next", {"test": "next"})),
                " at the worker's own socket": (one, lambda: door.ask("POST", "/v1/workers/1/next", {"test": "next"})),
                "POST /v1/copies/1/reset": (three, lambda: client.ask("POST", f"/v1/copies/{clone['id']}/reset")),
            }
            for _ in range(rounds):
                for name, (written, act) in ways.items():
                    if written is not None:
                        written.execute(INSERT)
                    spent.setdefault(name, []).append(timed(act))
        harness.end()
        harness.close()
        client.ask("DELETE", "/v1/workers/1")
    return spent


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.TemporaryDirectory() as folder:
        for name, text in PROJECT.items():
            Path(folder, name).write_text(text)
        spent = measure(Path(folder), rounds)
    print(f"{TABLES} tables, three rows written before each undo; {rounds} rounds; milliseconds")
    print(f"{'':30} {'10 %':>8} {'median':>8} {'90 %':>8} {'x limit':>8}")
    limit = sum(statistics.median(spent[name]) for name in ("GET /v1/health", "the harness, asked directly"))
    for name, times in spent.items():
        times.sort()
        tenth, middle, last = times[len(times) // 10], statistics.median(times), times[len(times) * 9 // 10]
        print(f"{name:30} {tenth:8.3f} {middle:8.3f} {last:8.3f} {middle / limit:8.2f}")


if __name__ == "__main__":
    main()
