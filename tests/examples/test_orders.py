"""The example's suite passes as it stands: in any order, on several workers, in each isolation, twice at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import WITH_WORKERS

ORDERS = Path(__file__).resolve().parents[2] / "examples" / "orders"
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


@pytest.fixture
def checkout(tmp_path):
    """Makes a copy of the example: a checkout of its own."""

    def make(name: str = "orders") -> Path:
        made = shutil.copytree(ORDERS, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        return Path(made)

    return make


def start(folder, environ, *arguments):
    return subprocess.Popen(
        [*PYTEST, *arguments], cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def passes(process):
    """Wait for its end; at least the 25 tests that an example should have passed, and none failed or was left out."""
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, text
    last = text.strip().splitlines()[-1]
    assert "passed" in last, text
    assert int(last.split()[0]) >= 25, text
    assert "skipped" not in last, text


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-p", "pytest_randomly"], id="reset-in-random-order"),
        pytest.param(["--seatrial-set", "db.isolation=rollback"], id="rollback", marks=pytest.mark.nightly),
        pytest.param(["--seatrial-set", "db.isolation=clone"], id="clone", marks=pytest.mark.nightly),
    ],
)
def test_the_suite_passes_in_each_isolation(checkout, clean_environ, arguments):
    passes(start(checkout(), clean_environ, *arguments))


def test_two_checkouts_at_once_one_of_them_on_two_workers_do_not_disturb_each_other(checkout, clean_environ):
    runs = [start(checkout("one"), clean_environ), start(checkout("two"), clean_environ | WITH_WORKERS, "-n", "2")]
    for run in runs:
        passes(run)
