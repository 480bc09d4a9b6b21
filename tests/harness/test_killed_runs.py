"""Whoever is killed, and when: nothing of ours runs on, the next start sweeps the rest, and the next run works.

A run is a child of this process, forked with everything imported: a controller, and a worker that works through the
phases of a run on a real server: PostgreSQL's and Valkey's in each run of the tests, the other kinds' by night. A pytest that is killed leaves no more behind than these do: it runs no finalizers
on SIGTERM either. At the end of this file a real pytest is killed, too.

One promise is itself a time: nothing is left two seconds after the supervisor's idle time, or after its own death. What
two seconds are to a machine that does much else is told by a yardstick, laid on at the same moment: see `Yardstick`.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from seatrial.config.load import load
from seatrial.core import folders, processes, wait
from seatrial.errors import SeatrialError
from seatrial.harness.compose import compose
from seatrial.harness.run import Run
from seatrial.resources.kinds.postgres.naming import Marker
from seatrial.resources.kinds.postgres.store import PASSING
from seatrial.resources.supervisor import client
from seatrial.resources.supervisor.instance import known

PHASES = ("start", "template", "test", "end")
VICTIMS = ("controller", "worker", "supervisor", "controller and supervisor")
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
IDLE = 0.05
PROMISED = 2.0
"""Seconds after the idle time, or after the death of the supervisor, in which all must have ended."""
YARDS = 100
PATIENCE = 30.0
"""Seconds for what takes a fraction of one, on a machine that does much else: only what hangs takes longer."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


class Yardstick:
    """How long a bare process takes to start, to be killed and to be gone: here, and now.

    On a machine that does nothing else that is 10 to 20 ms, and what is promised in two seconds takes some 0.2 s: PostgreSQL
    writes its last checkpoint, and three processes end. Where a hundred of these take longer than two seconds, the
    machine is so slow, or so busy, that they are the promise's measure in the place of the clock's.
    """

    def __init__(self):
        self._longest = self._lay()

    def allowed(self, idle=0.0):
        """The seconds that something promised in `PROMISED` may have taken until now."""
        self._longest = max(self._longest, self._lay())
        return idle * max(self._longest * YARDS / PROMISED, 1) + max(PROMISED, self._longest * YARDS)

    @staticmethod
    def _lay():
        before = wait.now()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", "print(1, flush=True); input()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with process:
            process.stdout.readline()
            process.kill()
        return wait.now() - before


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """A kind of server, and what a run does with it."""

    kind: str
    fills: str
    """The key that fills its template."""
    file: str
    """What that key's file says; {made} is another number each time, so that the template has to be made anew."""
    use: Callable[[str, object], None]
    """Looks for what is left of other runs at the address, writes as an app would, and leaves it there."""

    def write(self, folder, made):
        """The project's configuration, and a schema or a seed."""
        module = self.fills == "seed"
        (folder / "seatrial.toml").write_text(
            f'[resources.db]\nkind = "{self.kind}"\n{self.fills} = "{"seeds:load" if module else "schema.sql"}"\n'
        )
        (folder / ("seeds.py" if module else "schema.sql")).write_text(self.file.replace("{made}", str(made)))


def _use_postgres(url, plan):
    with psycopg.connect(url, autocommit=True) as app:
        app.execute("create table if not exists written (id int)")
        others = app.execute("select datname, shobj_description(oid, 'pg_database') from pg_database").fetchall()
    passing = [name for name, told in others if (found := Marker.read(told)) and found.what in PASSING]
    assert passing == [plan.copy_name], passing


def _use_mariadb(url, plan):
    import pymysql

    admin = plan.server.endpoint.admin
    login = {"host": admin.host, "port": admin.port, "user": admin.user, "password": admin.password}
    with pymysql.connect(**login, database=plan.copy_name) as app, app.cursor() as cursor:
        cursor.execute("create table if not exists written (id int)")
        cursor.execute("select name from seatrial.`databases` where what in ('copy', 'building', 'layer')")
        assert cursor.fetchall() == ((plan.copy_name,),)


def _use_valkey(url, plan):
    import redis

    with redis.Redis.from_url(url) as app:
        assert app.keys() == [b"seed"]
        app.set("written", 1)


def _use_nats(url, plan):
    import asyncio

    import nats

    async def use():
        connection = await nats.connect(url)
        assert [stream.config.name for stream in await connection.jetstream().streams_info()] == ["seed"]
        await connection.jetstream().add_stream(name="written", subjects=["written"])
        await connection.close()

    asyncio.run(use())


def _use_s3(url, plan):
    import boto3

    admin = plan.server.endpoint.admin
    login = {"aws_access_key_id": plan.address.user, "aws_secret_access_key": plan.address.password}
    where = {"endpoint_url": f"http://{admin.host}:{admin.port}", "region_name": "us-east-1"}
    app = boto3.client("s3", **where, **login)
    assert [one["Key"] for one in app.list_objects_v2(Bucket=plan.copy_name)["Contents"]] == ["seed"]
    app.put_object(Bucket=plan.copy_name, Key="written", Body=b"")


_STREAM = """import nats
async def load(url):
    connection = await nats.connect(url)
    await connection.jetstream().add_stream(name="seed", subjects=["{made}"])
    await connection.close()
"""
POSTGRES = Sort(
    kind="postgres",
    fills="schema",
    file="create table t{made} (id int); select pg_sleep(0.01);\n",
    use=_use_postgres,
)
VALKEY = Sort(kind="valkey", fills="seed", file="def load(client):\n    client.set('seed', {made})\n", use=_use_valkey)
BY_NIGHT = (
    VALKEY,
    Sort(kind="mariadb", fills="schema", file="create table t{made} (id int);\n", use=_use_mariadb),
    Sort(kind="nats", fills="seed", file=_STREAM, use=_use_nats),
    Sort(
        kind="s3",
        fills="seed",
        file="def load(bucket):\n    bucket.put_object(Key='seed', Body=b'{made}')\n",
        use=_use_s3,
    ),
)


class Killed:
    """A project, its cache, and runs of it that stop in one phase."""

    def __init__(self, sort, folder, store):
        self.sort, self.folder, self.store, self.made = sort, folder, store, 0
        self.schema()

    def schema(self):
        """Another one each time: the template has to be made anew."""
        self.made += 1
        self.sort.write(self.folder, self.made)

    def run(self, phase):
        """Starts a run; returns its controller and its worker once it is in that phase, and what lets it go on."""
        told, tell = os.pipe()
        hold, go = os.pipe()
        controller = os.fork()
        if not controller:
            os.close(told)
            os.close(go)
            _end_with(lambda: _control(self.sort, self.folder, phase, tell, hold))
        os.close(tell)
        os.close(hold)
        assert select.select([told], [], [], PATIENCE)[0], f"it never came to {phase}"
        worker = int(os.read(told, 32) or 0)
        assert worker, f"it ended before {phase}"
        os.close(told)
        return controller, worker, go

    def kill(self, phase, victim, number):
        """One run, in which `victim` is killed in that phase; back when all that was the run's has ended."""
        if phase == "template":
            self.schema()
        controller, worker, go = self.run(phase)
        what = f"{victim} by {signal.Signals(number).name} in the phase {phase}"
        try:
            assert wait.until(lambda: any(one.alive for one in known(self.store)), timeout=PATIENCE)
            supervisors = self.supervisors()
            groups = {"controller": [controller], "worker": [worker], "supervisor": supervisors}
            servers = {pid: processes.started(pid) for pid in {*self.left()} - {controller, worker}}
            yardstick = Yardstick()
            for name in victim.split(" and "):
                for pid in groups[name]:
                    os.kill(pid, number)
            if "supervisor" in victim:  # the run may go on, and start another: these are gone
                self._ended(lambda: [pid for pid in servers if processes.started(pid) == servers[pid]], yardstick, what)
        finally:
            os.close(go)
        _wait_for(controller)
        self._ended(self.left, yardstick, what, IDLE)
        self._marked(what)
        if not ("supervisor" in victim and number == signal.SIGKILL):
            assert self.sockets() == [], what  # else the next start sweeps them: see `whole`

    def whole(self):
        """A run to its end: it works, and finds nothing of the others."""
        controller, _, go = self.run("end")
        yardstick = Yardstick()
        os.close(go)
        assert _wait_for(controller) == 0
        self._ended(self.left, yardstick, "nobody", IDLE)
        self._marked("nobody")
        assert self.sockets() == []

    def sockets(self):
        """What supervisors and servers listened at."""
        return [path for root in folders.running(self.store) for path in root.glob("*/*") if path.is_socket()]

    def _ended(self, left, yardstick, what, idle=0.0):
        """Whatever `left` names ends, and in time."""
        before = wait.now()
        assert wait.until(lambda: not left(), timeout=PATIENCE), (what, left())
        took = wait.now() - before
        assert took <= yardstick.allowed(idle), what

    def _marked(self, what):
        """Every folder tells whose it is, so that `seatrial clean` and the next start know it; nothing is half made."""
        known_to_us = {instance.folder for instance in known(self.store)}
        roots = [root for root in folders.running(self.store) if root.is_dir()]
        assert [path for root in roots for path in root.iterdir() if path.is_dir() and path not in known_to_us] == [], (
            what
        )
        assert all((root / "cache").read_text() == str(self.store) for root in roots), what
        unfinished = [path for one in known_to_us for name in ("*.new", "fresh") for path in one.glob(name)]
        assert unfinished == [], what
        temporary = Path(tempfile.gettempdir())
        assert [path for path in temporary.iterdir() if path not in roots] == [], what

    def supervisors(self):
        return [pid for pid, told in _processes() if "supervisor.process" in told and self._ours(told)]

    def left(self):
        """Processes of this cache's servers, runs and supervisors."""
        # A supervisor forks while it starts: one look can miss both, when one ends and the other begins behind its back.
        return self._seen() or self._seen()

    def _seen(self):
        return {pid: told for pid, told in _processes() if self._ours(told)}

    def _ours(self, told):
        return any(str(root) in told for root in folders.running(self.store))


@pytest.fixture(scope="module")
def sort():
    """What is killed, where a test does not say otherwise."""
    return POSTGRES


@pytest.fixture(scope="module")
def killed(tmp_path_factory, sort):
    store = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_CACHE", str(store))
        patch.setenv("SEATRIAL_IDLE", str(IDLE))
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
        yield Killed(sort, tmp_path_factory.mktemp("project"), store)
    for status in client.instances(store=store):
        client.down(status.instance)
    for root in folders.running(store):
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("phase", PHASES)
def test_a_run_that_is_killed_leaves_nothing_and_the_next_works(killed, phase, number):
    for _ in range(2):
        for victim in VICTIMS:
            killed.kill(phase, victim, number)
    killed.whole()


@pytest.mark.nightly
@pytest.mark.parametrize("repeat", range(20))
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("phase", PHASES)
def test_and_again_and_again(killed, phase, number, repeat):
    for victim in VICTIMS:
        killed.kill(phase, victim, number)
    killed.whole()


@pytest.mark.parametrize("sort", [VALKEY], ids=lambda sort: sort.kind, scope="module")
def test_a_run_on_another_kind_of_server_that_is_killed_leaves_nothing(killed):
    for phase, victim in zip(PHASES, VICTIMS, strict=True):  # all sixteen pairs: by night
        killed.kill(phase, victim, signal.SIGKILL)
    killed.whole()


@pytest.mark.nightly
@pytest.mark.parametrize("sort", BY_NIGHT, ids=lambda sort: sort.kind, scope="module")
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("phase", PHASES)
def test_and_on_every_kind_again_and_again(killed, phase, number):
    for _ in range(2):
        for victim in VICTIMS:
            killed.kill(phase, victim, number)
    killed.whole()


BY_DAY = {("pytest", signal.SIGKILL)}
REAL = [(victim, number) for victim in ("pytest", "worker") for number in SIGNALS]


@pytest.mark.parametrize(
    ("victim", "number"), [pytest.param(*one, marks=() if one in BY_DAY else pytest.mark.nightly) for one in REAL]
)
def test_a_real_pytest_on_two_workers_that_is_killed_in_a_test(project, victim, number):
    project.write(
        {
            "seatrial.toml": '[resources.db]\nkind = "postgres"\nschema = "schema.sql"\n',
            "schema.sql": "create table t (id int);\n",
            "test_it.py": """
                import os, time

                def test_one(db):
                    db.execute("insert into t values (1)")
                    db.commit()
                    open(f"worker-{os.getpid()}", "w").close()
                    time.sleep(2 if os.environ.get("SLOW") else 0)

                def test_two(db):
                    assert db.execute("select count(*) from t").fetchone() == (0,)
            """,
        }
    )
    argv = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"]
    run = subprocess.Popen(argv, cwd=project.folder, env=project.environ | {"SLOW": "1"}, stdout=subprocess.DEVNULL)
    assert wait.until(lambda: bool(list(project.folder.glob("worker-*"))), timeout=120)
    workers = {pid: processes.started(pid) for pid in processes.children(run.pid)}
    worker = int(next(project.folder.glob("worker-*")).name.partition("-")[2])
    os.kill(run.pid if victim == "pytest" else worker, number)
    run.wait(timeout=120)
    roots = folders.running(Path(project.environ["SEATRIAL_CACHE"]))

    def ours():
        return [told for _, told in _processes() if any(str(root) in told for root in roots)]

    # A worker whose pytest is gone works its test through, and holds the server until then.
    assert wait.until(lambda: all(processes.started(pid) != workers[pid] for pid in workers), timeout=PATIENCE)
    yardstick = Yardstick()
    before = wait.now()
    assert wait.until(lambda: not ours(), timeout=PATIENCE), ours()
    took = wait.now() - before
    assert took <= yardstick.allowed(float(project.environ["SEATRIAL_IDLE"]))
    outcome = project.pytest("-q", "-n", "2")
    assert outcome.counts() == {"passed": 2}, outcome.text


def _control(sort, folder, phase, tell, hold):
    """The controller: it has reserved what the worker uses, and waits for its end."""
    reserved = _composed(folder, Run(id="k1lled", root=folder, worker="main"))
    ports = {name: each.plan.server.endpoint.admin.port for name, each in reserved.resources.items()}
    watched, mine = os.pipe()
    worker = os.fork()
    if not worker:
        os.close(mine)
        run = Run(id="k1lled", root=folder, worker="gw0", ports=ports)
        _end_with(lambda: _work(sort, folder, run, phase, tell, hold, watched))
    os.close(tell)
    status = _wait_for(worker)
    reserved.close()
    if status:
        raise SystemExit(status)


def _work(sort, folder, run, phase, tell, hold, watched):
    """The worker. In its phase it says so and stops, until it may go on; it ends when its controller does."""

    def stop(reached):
        if reached == phase:
            os.write(tell, str(os.getpid()).encode())
            os.close(tell)
            ready = select.select([hold, watched], [], [], PATIENCE * 2)[0]
            if watched in ready:
                os._exit(0)

    threading.Thread(target=lambda: (os.read(watched, 1), os._exit(0)), daemon=True).start()
    spawn = client.spawn

    def spawning(*arguments):
        found = spawn(*arguments)
        stop("start")
        return found

    client.spawn = spawning
    sys.path.insert(0, str(folder))  # where the seed is
    harness = _composed(folder, run)
    plan = harness.resources["db"].plan
    opened = type(plan.kind).open

    def opening(*arguments, **keys):
        type(plan.kind).open = opened
        store = opened(*arguments, **keys)
        build, drop = type(store).build, type(store).drop

        def building(self, key, name, fill):
            return build(self, key, name, lambda target: (fill(target), stop("template")))

        def dropping(self, name):
            stop("end")
            drop(self, name)

        type(store).build, type(store).drop = building, dropping
        return store

    type(plan.kind).open = opening
    try:
        harness.open()
        with contextlib.suppress(SeatrialError):  # its server may have been killed
            harness.require(["db"])
            harness.begin(_Test(), {"db": "reset"}, ["db"])
            assert harness.resources["db"].started
            sort.use(plan.address.url(), plan)
            stop("test")
            harness.end(last=True)
    finally:
        harness.close()


class _Test:
    id, failed = "test_it.py::test_it", False

    def add_cleanup(self, cleanup):
        cleanup()

    def log(self, title, text):
        pass


def _composed(folder, run):
    return compose(load(folder / "seatrial.toml", environ=os.environ, options={}), run)


def _end_with(work):
    """In a forked child: never back into pytest."""
    status = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        work()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:  # noqa: BLE001 - nothing may get out of the forked child but its end
        traceback.print_exc()
    finally:
        os._exit(status)


def _wait_for(pid):
    ended = []

    def look():
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended.append(os.waitstatus_to_exitcode(status))
        return bool(ended)

    assert wait.until(look, timeout=PATIENCE * 2), f"{pid} does not end"
    return ended[0]


def _processes():
    """(pid, command line and working folder) of each process that lives."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            told = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            yield int(process.name), f"{told} {(process / 'cwd').readlink()}"
