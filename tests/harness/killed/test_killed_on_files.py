"""A run on SQLite has no server: what it leaves when it is killed are files, which the next start sweeps."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from pathlib import Path

import pytest
from tests.harness.killed import runs
from tests.harness.killed.sorts import Sort

from seatrial.core import folders, processes, wait


def _use_sqlite(plan):
    mine = Path(plan.address.database).parent
    assert [path for path in mine.parent.iterdir() if path.is_dir()] == [mine]
    with contextlib.closing(sqlite3.connect(plan.address.database, isolation_level=None)) as app:
        app.execute("create table written (id int)")


SQLITE = Sort(
    kind="sqlite",
    files={
        "seatrial.toml": '[resources.db]\nkind = "sqlite"\nschema = "schema.sql"\n',
        "schema.sql": "create table t{made} (id int);\n",
    },
    use=_use_sqlite,
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("victim", ["controller", "worker"])
def test_the_files_of_a_run_that_is_killed_go_with_the_next_start_which_works(tmp_path, monkeypatch, victim, number):
    store, project = tmp_path / "cache", tmp_path / "project"
    store.mkdir()
    project.mkdir()
    monkeypatch.setenv("SEATRIAL_CACHE", str(store))
    for made, phase in enumerate(("template", "test", "end")):
        if phase == "template":
            SQLITE.write(project, made)
        controller, worker, go = runs.begin(SQLITE, project, phase)
        started = processes.started(worker)
        os.kill(controller if victim == "controller" else worker, number)
        os.close(go)
        runs.wait_for(controller)
        assert wait.until(lambda: processes.started(worker) != started, timeout=runs.PATIENCE)  # noqa: B023 - it is asked now
    controller, _, go = runs.begin(SQLITE, project, "end")
    os.close(go)
    assert runs.wait_for(controller) == 0
    left = [path for root in folders.running(store) for path in root.glob("sqlite/*")]
    assert left == []
    templates = [path.suffix for path in (store / "sqlite" / "templates").iterdir()]
    assert sorted(templates) == [".db", ".lock"], "nothing is half made"
