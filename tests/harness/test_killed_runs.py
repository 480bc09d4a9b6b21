"""Whoever is killed, and when: nothing of ours runs on, the next start sweeps the rest, and the next run works.

A run is a child of this process, forked with everything imported: a controller, and a worker that works through the
phases of a run on a real PostgreSQL. A pytest that is killed leaves no more behind than these do: it runs no finalizers
on SIGTERM either. `make nightly` kills a real pytest, too.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import threading
import traceback
from pathlib import Path

import psycopg
import pytest

from seatrial.config.load import load
from seatrial.core import folders, wait
from seatrial.errors import SeatrialError
from seatrial.harness.compose import compose
from seatrial.harness.run import Run
from seatrial.resources.kinds.postgres.naming import Marker
from seatrial.resources.kinds.postgres.store import PASSING, PostgresStore
from seatrial.resources.supervisor import client

PHASES = ("start", "template", "test", "end")
VICTIMS = ("controller", "worker", "supervisor", "controller and supervisor")
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
PATIENCE = 30.0
"""Seconds for what takes a fraction of one, on a machine that does much else."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


class Killed:
    """A project, its cache, and runs of it that stop in one phase."""

    def __init__(self, folder, store):
        self.folder, self.store, self.made = folder, store, 0
        (folder / "seatrial.toml").write_text('[resources.db]\nkind = "postgres"\nschema = "schema.sql"\n')
        self.schema()

    def schema(self):
        """Another one each time: the template has to be made anew."""
        self.made += 1
        (self.folder / "schema.sql").write_text(f"create table t{self.made} (id int); select pg_sleep(0.01);\n")

    def run(self, phase):
        """Starts a run; returns its controller and its worker once it is in that phase, and what lets it go on."""
        told, tell = os.pipe()
        hold, go = os.pipe()
        controller = os.fork()
        if not controller:
            os.close(told)
            os.close(go)
            _end_with(lambda: _control(self.folder, phase, tell, hold))
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
        try:
            assert wait.until(lambda: bool(self.supervisors()), timeout=PATIENCE)
            groups = {"controller": [controller], "worker": [worker], "supervisor": self.supervisors()}
            for name in victim.split(" and "):
                for pid in groups[name]:
                    os.kill(pid, number)
        finally:
            os.close(go)
        _wait_for(controller)
        assert wait.until(lambda: not self.left(), timeout=PATIENCE), (phase, victim, number, self.left())

    def whole(self):
        """A run to its end: it works, and finds nothing of the others."""
        controller, _, go = self.run("end")
        os.close(go)
        assert _wait_for(controller) == 0
        assert wait.until(lambda: not self.left(), timeout=PATIENCE)
        left = [path for root in folders.running(self.store) for path in (*root.glob("*/s"), *root.glob("*/.s.*"))]
        assert left == []

    def supervisors(self):
        return [pid for pid, told in _processes() if "supervisor.process" in told and self._ours(told)]

    def left(self):
        """Processes of this cache's servers, runs and supervisors."""
        return {pid: told for pid, told in _processes() if self._ours(told)}

    def _ours(self, told):
        return any(str(root) in told for root in folders.running(self.store))


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    store = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_CACHE", str(store))
        patch.setenv("SEATRIAL_IDLE", "0.05")
        yield Killed(tmp_path_factory.mktemp("project"), store)
    for status in client.instances(store=store):
        client.down(status.instance)
    for root in folders.running(store):
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("phase", PHASES)
def test_a_run_that_is_killed_leaves_nothing_and_the_next_works(killed, phase):
    """Each victim once in each phase, by the one signal or the other; at night by both, again and again."""
    for number, victim in enumerate(VICTIMS, PHASES.index(phase)):
        killed.kill(phase, victim, SIGNALS[number % 2])
    killed.whole()


@pytest.mark.nightly
@pytest.mark.parametrize("repeat", range(20))
@pytest.mark.parametrize("phase", PHASES)
def test_and_again_and_again_by_both_signals(killed, phase, repeat):
    for victim in VICTIMS:
        for number in SIGNALS:
            killed.kill(phase, victim, number)
    killed.whole()


@pytest.mark.nightly
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("victim", ["pytest", "worker"])
def test_a_real_pytest_on_two_workers_that_is_killed_in_a_test(project, victim, number):
    import subprocess

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
                    time.sleep(3 if os.environ.get("SLOW") else 0)

                def test_two(db):
                    assert db.execute("select count(*) from t").fetchone() == (0,)
            """,
        }
    )
    argv = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"]
    run = subprocess.Popen(argv, cwd=project.folder, env=project.environ | {"SLOW": "1"}, stdout=subprocess.DEVNULL)
    assert wait.until(lambda: bool(list(project.folder.glob("worker-*"))), timeout=120)
    worker = int(next(project.folder.glob("worker-*")).name.partition("-")[2])
    os.kill(run.pid if victim == "pytest" else worker, number)
    run.wait(timeout=120)
    roots = folders.running(Path(project.environ["SEATRIAL_CACHE"]))

    def ours():
        return [told for _, told in _processes() if any(str(root) in told for root in roots)]

    assert wait.until(lambda: not ours(), timeout=PATIENCE), ours()
    outcome = project.pytest("-q", "-n", "2")
    assert outcome.counts() == {"passed": 2}, outcome.text


def _control(folder, phase, tell, hold):
    """The controller: it has reserved what the worker uses, and waits for its end."""
    reserved = _composed(folder, Run(id="k1lled", root=folder, worker="main"))
    ports = {name: each.plan.server.endpoint.admin.port for name, each in reserved.resources.items()}
    watched, mine = os.pipe()
    worker = os.fork()
    if not worker:
        os.close(mine)
        run = Run(id="k1lled", root=folder, worker="gw0", ports=ports)
        _end_with(lambda: _work(folder, run, phase, tell, hold, watched))
    os.close(tell)
    status = _wait_for(worker)
    reserved.close()
    if status:
        raise SystemExit(status)


def _work(folder, run, phase, tell, hold, watched):
    """The worker. In its phase it says so and stops, until it may go on; it ends when its controller does."""

    def stop(reached):
        if reached == phase:
            os.write(tell, str(os.getpid()).encode())
            os.close(tell)
            ready = select.select([hold, watched], [], [], PATIENCE * 2)[0]
            if watched in ready:
                os._exit(0)

    threading.Thread(target=lambda: (os.read(watched, 1), os._exit(0)), daemon=True).start()
    spawn, seal, drop = client.spawn, PostgresStore._made, PostgresStore.drop

    def spawning(*arguments):
        found = spawn(*arguments)
        stop("start")
        return found

    def making(self, key, name, fill):
        def filling(target):
            fill(target)
            stop("template")

        return seal(self, key, name, filling)

    def dropping(self, name):
        stop("end")
        drop(self, name)

    client.spawn, PostgresStore._made, PostgresStore.drop = spawning, making, dropping
    harness = _composed(folder, run)
    try:
        harness.open()
        with contextlib.suppress(SeatrialError):  # its server may have been killed
            harness.require(["db"])
            harness.begin(_Test(), {"db": "reset"}, ["db"])
            assert harness.resources["db"].started
            with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as app:
                app.execute("create table if not exists written (id int)")
                others = app.execute(
                    "select datname, shobj_description(oid, 'pg_database') from pg_database"
                ).fetchall()
            passing = [name for name, told in others if (found := Marker.read(told)) and found.what in PASSING]
            assert passing == [harness.resources["db"].plan.copy_name], passing
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
