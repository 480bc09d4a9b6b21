"""Every project that has us installed loads our plugin: one without our configuration must not feel it."""

from __future__ import annotations

import json
import sys

import pytest

REPORT = """
import json, sys, threading

def test_what_was_loaded():
    with open("loaded.json", "w") as file:
        json.dump({"modules": sorted(sys.modules), "threads": threading.active_count()}, file)
"""
STARTERS = {"subprocess", "multiprocessing", "asyncio"}
"""What it takes to start something."""


@pytest.fixture
def bare(project):
    """A project that does not know us."""
    del project.environ["PYTEST_PLUGINS"]
    return project.write({"test_loaded.py": REPORT, "pyproject.toml": '[project]\nname = "stranger"\n'})


def loaded(project, *arguments):
    outcome = project.run(sys.executable, "-m", "pytest", "-q", *arguments)
    assert outcome.status == 0, outcome.text
    found = json.loads((project.folder / "loaded.json").read_text())
    return set(found["modules"]), found["threads"]


def test_without_our_configuration_nothing_of_weight_is_imported_or_started(bare):
    without, threads = loaded(bare)
    with_us, threads_with_us = loaded(bare, "-p", "seatrial.pytest_plugin")

    ours = {name for name in with_us - without if name.split(".")[0] == "seatrial"}
    others = {name for name in with_us - without - ours if name.split(".")[0] not in sys.stdlib_module_names}
    assert "seatrial.pytest_plugin" in ours
    assert others == set()
    assert {name for name in ours if not name.startswith(("seatrial.pytest_plugin", "seatrial.config"))} <= {
        "seatrial",
        "seatrial.errors",
    }
    assert (with_us - without) & STARTERS == set()
    assert threads_with_us == threads
