"""A server of ours in a thread of this process, on a real PostgreSQL, and a client that says what it gets."""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from seatrial.config.load import load
from seatrial.control.server import Options, serve
from seatrial.control.service import Limits

PROJECT = {
    "seatrial.toml": """
[resources.db]
kind = "postgres"
schema = "schema.sql"

[resources.notes]
kind = "sqlite"
schema = "notes.sql"
env = "NOTES_URL"
""",
    "schema.sql": "create table users (id serial primary key, name text not null unique);\n"
    "insert into users (name) values ('Ada');\n",
    "notes.sql": "create table notes (id integer primary key, text text);\n",
}
ENDED = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


class Client:
    """One connection."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        self.port = int(url.rpartition(":")[2])
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Answer:
        given = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, data, {name.replace("_", "-"): text for name, text in given.items()})
        response = self._connection.getresponse()
        text = response.read()
        return Answer(status=response.status, body=json.loads(text) if text else None, headers=dict(response.headers))

    def get(self, path: str) -> Any:
        return self._well(self.ask("GET", path))

    def post(self, path: str, **body: Any) -> Any:
        return self._well(self.ask("POST", path, body))

    def delete(self, path: str) -> Any:
        return self._well(self.ask("DELETE", path))

    def close(self) -> None:
        self._connection.close()

    @staticmethod
    def _well(answer: Answer) -> Any:
        assert answer.status < 300, answer
        return answer.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running server."""

    told: dict[str, Any]
    thread: threading.Thread

    def client(self) -> Client:
        return Client(self.told["url"], self.told["token"])

    def ended(self) -> bool:
        self.thread.join(ENDED)
        return not self.thread.is_alive()


Serve = Callable[..., Any]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    for name, text in PROJECT.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="session")
def serving(root: Path, clean_environ: dict[str, str]) -> Serve:
    """Starts a server of the project: `with serving(idle=1) as served`."""

    @contextmanager
    def start(
        folder: Path = root,
        *,
        options: Options | None = None,
        say: Callable[[str], None] = lambda _: None,
        **limits: Any,
    ) -> Iterator[Served]:
        environ = {name: clean_environ[name] for name in ("SEATRIAL_CACHE", "SEATRIAL_IDLE")}
        before = {name: os.environ.get(name) for name in environ}
        os.environ.update(environ)
        ready: dict[str, Any] = {}
        waiting = threading.Event()
        failed: list[BaseException] = []

        def tell(told: dict[str, Any]) -> None:
            ready.update(told)
            waiting.set()

        def work() -> None:
            try:
                config = load(folder / "seatrial.toml", environ={})
                serve(config, replace(options or Options(), limits=Limits(**limits)), tell, say)
            except BaseException as error:  # noqa: BLE001 - told to the test, in its own thread
                failed.append(error)
            finally:
                waiting.set()

        thread = threading.Thread(target=work)
        thread.start()
        waiting.wait()
        try:
            if failed:
                raise failed[0]
            yield Served(told=ready, thread=thread)
        finally:
            if thread.is_alive():
                client = Client(ready["url"], ready["token"])
                client.post("/v1/shutdown")
                client.close()
            thread.join(ENDED)
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        assert not thread.is_alive(), stacks()
        assert not failed

    return start


def stacks() -> str:
    """Where each thread of this process is."""
    frames = sys._current_frames()
    return "\n".join(
        f"{thread.name}\n{''.join(traceback.format_stack(frames[thread.ident]))}"
        for thread in threading.enumerate()
        if thread.ident in frames
    )


@pytest.fixture(scope="module")
def served(serving: Serve) -> Iterator[Served]:
    """One server for all tests of a module that leave it running."""
    with serving(idle=3600) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    one = served.client()
    yield one
    one.close()


@pytest.fixture
def worker(client: Client, request: pytest.FixtureRequest) -> Iterator[Worker]:
    """A worker with its copies, for one test of ours."""
    name = f"t{abs(hash(request.node.name)) % 10**6}"
    yield Worker(client, client.post("/v1/workers", worker=name))
    if client.ask("DELETE", f"/v1/workers/{name}").status not in (204, 404):
        pytest.fail("the worker could not be closed")


class Worker:
    """What a test runner does."""

    def __init__(self, client: Client, told: Any) -> None:
        self.client, self.told = client, told
        self.path = f"/v1/workers/{told['worker']}"
        self.url = told["env"]["DATABASE_URL"]

    def checkout(self, test: str = "a test", **isolation: str) -> Any:
        return self.client.post(f"{self.path}/checkout", test=test, isolation=isolation)

    def checkin(self, **said: bool) -> Any:
        return self.client.post(f"{self.path}/checkin", **said)

    def next(self, test: str = "the next", **said: Any) -> Any:
        return self.client.post(f"{self.path}/next", test=test, **said)

    def run(self, statement: str, url: str = "") -> list[Any]:
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def names(self, url: str = "") -> list[str]:
        return [name for (name,) in self.run("select name from users order by id", url)]


def databases(url: str, pattern: str = "%") -> set[str]:
    """The databases on a server whose names fit."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute("select datname from pg_database where datname like %s", (pattern,)).fetchall()
    return {name for (name,) in rows}
