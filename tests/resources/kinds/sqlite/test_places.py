"""SQLite in awkward places: odd and long paths, a home that can't be written, a disk that is full, two checkouts."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.resources.mounts import behind, needs_mounts

ODD = "with spaces, ünïcödé and 日本 'quotes' %s {braces} #1"
AT = {"a file of ours": "", "a file where the project wants it": 'at = "sqlite:///test.db"\n'}
TESTS = """
import os
from sqlalchemy import create_engine, text

def test_one(db):
    engine = create_engine(os.environ["DATABASE_URL"])
    with engine.begin() as app:
        app.execute(text("insert into t values (1)"))
    engine.dispose()
    assert db.execute("select count(*) from t").fetchone() == (1,)

def test_two(db):
    assert db.execute("select count(*) from t").fetchone() == (0,)
"""


def written(project, at="", schema="create table t (a);\n", tests=TESTS):
    return project.write(
        {
            "seatrial.toml": f'[resources.db]\nkind = "sqlite"\nschema = "schema.sql"\n{at}',
            "schema.sql": schema,
            "test_it.py": tests,
        }
    )


def pytest_of(project):
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(project.folder)]


@pytest.mark.parametrize("at", AT.values(), ids=AT)
def test_it_works_whatever_the_paths_of_cache_and_project_are(project, tmp_path, at):
    project.folder = tmp_path / ODD / ("long" * 30)
    project.folder.mkdir(parents=True)
    outcome = written(project, at).pytest("-q", SEATRIAL_CACHE=str(tmp_path / "cache" / ODD / ("long" * 30)))
    assert outcome.counts() == {"passed": 2}, outcome.text


@needs_mounts
def test_it_works_with_a_home_that_can_t_be_written(project, tmp_path):
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    written(project)
    del project.environ["SEATRIAL_CACHE"]
    project.environ.pop("XDG_CACHE_HOME", None)
    argv = behind([f"-o ro none {home}"], *pytest_of(project))
    outcome = project.run(*argv, HOME=str(home), TMPDIR=str(temporary))
    assert outcome.counts() == {"passed": 2}, outcome.text
    assert [path.name for path in temporary.glob("seatrial-*/sqlite/templates/*.db")] != []


@pytest.fixture
def disk():
    """A folder whose path is no hindrance to a socket in it, whatever pytest's own folder is called."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


THREE = """create table t (a);
create table big as
with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000) select zeroblob(1000) a from n;
"""
"""Megabytes: as many again for the template, and for each copy."""
PLAIN = "def test_it(db):\n    assert db.execute('select count(*) from big').fetchone() == (3000,)\n"


@needs_mounts
@pytest.mark.parametrize(
    ("warm", "megabytes", "told"),
    [
        (False, 1, "schema.sql failed\n  why: OperationalError: database or disk is full"),
        (False, 5, "no room left for a database of SQLite: database or disk is full"),
        (True, 1, "no room left for a database of SQLite: No space left on device"),
    ],
    ids=["where the schema is applied", "where the template is kept", "where it is copied"],
)
def test_a_disk_that_is_full_is_told_and_with_room_the_next_run_works(project, tmp_path, disk, warm, megabytes, told):
    temporary = tmp_path / "temporary" / ("long" * 30)  # too long for a socket: not taken
    temporary.mkdir(parents=True)
    written(project, schema=THREE, tests=PLAIN)
    filler = f"head -c {(11 - megabytes - (3 if warm else 0)) * 1_000_000} /dev/zero > {disk}/filler"
    steps = [*(['"$@"'] if warm else []), filler, '"$@"', f"rm {disk}/filler", '"$@"']
    mounts = [f"-o size=11m none {disk}", "-o size=8m none /dev/shm"]
    argv = behind(mounts, "sh", "-c", "\n".join(steps), "sh", *pytest_of(project))
    outcome = project.run(*argv, SEATRIAL_CACHE=str(disk / "c"), TMPDIR=str(temporary))
    assert outcome.counts() == {"passed": 1}, outcome.text
    assert told in outcome.text


MEETING = """
import pathlib, sys, time
import pytest

@pytest.mark.parametrize("turn", range(5))
def test_it(db, turn):
    db.execute("insert into t values (1)")
    db.commit()
    mine, other = (pathlib.Path(__file__).parents[1] / f"{name}-{turn}" for name in NAMES)
    mine.touch()
    for _ in range(6000):
        if other.exists():
            break
        time.sleep(0.01)
    else:
        raise AssertionError("the other does not come")
    assert db.execute("select count(*) from t").fetchone() == (1,)
"""


@pytest.mark.parametrize("at", AT.values(), ids=AT)
def test_two_checkouts_at_once_do_not_disturb_each_other(project, tmp_path, at):
    runs = []
    for names in (("left", "right"), ("right", "left")):
        project.folder = tmp_path / names[0]
        project.folder.mkdir()
        written(project, at, tests=f"NAMES = {names}\n{MEETING}")
        argv = [*pytest_of(project), "--seatrial-audit"]
        runs.append(subprocess.Popen(argv, cwd=project.folder, env=project.environ, stdout=subprocess.PIPE, text=True))
    told = [run.communicate(timeout=300)[0] for run in runs]
    assert ["5 passed" in text for text in told] == [True, True], told
