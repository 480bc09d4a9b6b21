"""A real pytest, or a worker of it, is killed in a test: nothing of ours runs on, and the next run works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import WITH_WORKERS, end_servers
from tests.harness.killed.project import told_processes
from tests.harness.killed.runs import PATIENCE
from tests.harness.killed.yardstick import Yardstick

from seatrial.core import folders, processes, wait

SIGNALS = (signal.SIGKILL, signal.SIGTERM)
BY_DAY = {("pytest", signal.SIGKILL)}
REAL = [(victim, number) for victim in ("pytest", "worker") for number in SIGNALS]


@pytest.mark.parametrize(
    ("victim", "number"), [pytest.param(*one, marks=() if one in BY_DAY else pytest.mark.nightly) for one in REAL]
)
@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_a_real_pytest_on_two_workers_that_is_killed_in_a_test(project, tmp_path, request, victim, number):
    project.environ.update(SEATRIAL_CACHE=str(tmp_path / "cache"), SEATRIAL_IDLE="1")
    request.addfinalizer(lambda: end_servers(tmp_path / "cache"))
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
    run = subprocess.Popen(
        argv, cwd=project.folder, env=project.environ | WITH_WORKERS | {"SLOW": "1"}, stdout=subprocess.DEVNULL
    )
    assert wait.until(lambda: bool(list(project.folder.glob("worker-*"))), timeout=120)
    workers = {pid: processes.started(pid) for pid in processes.children(run.pid)}
    worker = int(next(project.folder.glob("worker-*")).name.partition("-")[2])
    os.kill(run.pid if victim == "pytest" else worker, number)
    run.wait(timeout=120)
    roots = folders.running(Path(project.environ["SEATRIAL_CACHE"]))

    def ours():
        return [told for _, told in told_processes() if any(str(root) in told for root in roots)]

    # A worker whose pytest is gone works its test through, and holds the server until then.
    assert wait.until(lambda: all(processes.started(pid) != workers[pid] for pid in workers), timeout=PATIENCE)
    yardstick = Yardstick()
    before = wait.now()
    assert wait.until(lambda: not ours(), timeout=PATIENCE), ours()
    took = wait.now() - before
    assert took <= yardstick.allowed(float(project.environ["SEATRIAL_IDLE"]))
    outcome = project.pytest("-q", "-n", "2")
    assert outcome.counts() == {"passed": 2}, outcome.text
