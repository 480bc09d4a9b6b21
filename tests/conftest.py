"""What tests share: made-up projects that real pytest runs on, and a cache of their own."""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# No test fails because the machine is slow.
settings.register_profile(
    "seatrial", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
# Thousands of generated workloads, where it is seconds by default.
settings.register_profile("nightly", max_examples=5_000, suppress_health_check=list(HealthCheck), deadline=None)
settings.load_profile("seatrial")

# A shell that runs us in the background has these ignored, by us and by all that we start: both are tested here.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

BY_NIGHT = Path(__file__).with_name("by_night.txt")

PLUGINS = {"PYTEST_PLUGINS": "seatrial.pytest_plugin"}
"""What pytest loads in a made-up project: the dozen plugins of our own environment cost each start some seconds."""

WITH_WORKERS = {"PYTEST_PLUGINS": "seatrial.pytest_plugin,xdist.plugin"}
"""The same where it has several workers."""

AUDIT = os.environ.get("TESTS_AUDIT") != "no"
"""Whether made-up projects are audited: it takes a third of their time, and tells of servers, not of a Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one command printed, and how it ended."""

    status: int
    text: str

    def counts(self) -> dict[str, int]:
        """pytest's last line: {"passed": 3, "failed": 1}."""
        found = re.findall(
            r"(\d+) (passed|failed|errors?|skipped|deselected|xfailed|warnings?)", self.text.splitlines()[-1]
        )
        return {
            word.rstrip("s") if word.startswith(("error", "warning")) else word: int(number) for number, word in found
        }


class Project:
    """A made-up project in a folder of its own."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = dict(environ)

    def write(self, files: Mapping[str, str]) -> Project:
        """Write files, dedented."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))
        return self

    def run(self, *argv: str, timeout: float = 600, **environ: str) -> Outcome:
        """Run a command in the project's folder."""
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=self.environ | environ,
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        return Outcome(status=done.returncode, text=done.stdout + done.stderr)

    def pytest(self, *arguments: str, audit: bool = AUDIT, **environ: str) -> Outcome:
        """Run pytest there, as a user would who has no plugins but ours, and pytest-xdist where `-n` is among the
        arguments; others are named by `-p`.

        Every check-in is audited, unless the test is about something that an audit would disturb. (True where the
        audit is what the test is about.)
        """
        audited = ("--seatrial-audit",) if audit else ()
        plugins = WITH_WORKERS if "-n" in arguments else {}
        command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *audited, *arguments)
        return self.run(*command, **plugins, **environ)

    def seatrial(self, *arguments: str, **environ: str) -> Outcome:
        """Run our command line there."""
        return self.run(sys.executable, "-m", "seatrial", *arguments, **environ)

    def end_servers(self) -> None:
        """End its servers, also those that were to stay up."""
        down(Path(self.environ["SEATRIAL_CACHE"]), self.folder)

    def servers(self) -> list[dict[str, Any]]:
        """What `seatrial status` tells of this project: those of others are in the same cache."""
        told = json.loads(self.seatrial("status", "--json").text)
        return [server for server in told if server["project"] == str(self.folder)]


def down(store: Path, project: Path | None = None) -> None:
    """End the servers of a cache, or those of one project in it; also those that were to stay up."""
    from seatrial.resources.supervisor import client

    for status in client.instances(project, store=store):
        client.down(status.instance)


def end_servers(store: Path) -> None:
    """End every server of a cache, and leave nothing of it in the folders outside."""
    from seatrial.core import folders

    down(store)
    for root in folders.running(store):
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def clean_environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment with a cache of its own, whose servers end with it, and nothing of the run that we are in."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SEATRIAL_", "PYTEST_", "COV_")) and not name.endswith("DATABASE_URL")
        # pytest shortens no line of its summary where these are set.
        if name not in ("CI", "BUILD_NUMBER")
    }
    environ["SEATRIAL_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    environ["SEATRIAL_IDLE"] = "15"  # the next test finds the server of the last
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environ |= PLUGINS
    environ["COLUMNS"] = "160"
    yield environ
    end_servers(Path(environ["SEATRIAL_CACHE"]))


@pytest.fixture
def project(tmp_path: Path, clean_environ: dict[str, str]) -> Project:
    """An empty made-up project."""
    return Project(tmp_path, clean_environ)


def by_night() -> dict[str, list[str]]:
    """By test, the patterns of the ids of parameters that are left to the night."""
    lines = [line.split() for line in BY_NIGHT.read_text().splitlines() if line and not line.startswith("#")]
    return {f"tests/{test}": patterns or ["*"] for test, *patterns in lines}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is left to the night; the longest begin first: where one is the last, all other workers wait for it."""
    patterns = by_night()
    for item in items:
        test, _, parameters = item.nodeid.partition("[")
        if any(fnmatchcase(parameters.removesuffix("]"), pattern) for pattern in patterns.get(test, ())):
            item.add_marker(pytest.mark.nightly)
    items.sort(key=lambda item: not item.nodeid.startswith("tests/workloads/"))


def pytest_collection_finish() -> None:
    """Thousands of tests that were collected stay to the end: Python need not look through them for garbage."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """By which path the hard cases were undone: a clone always passes, so how many took one is for people to see."""
    reports = [report for report in terminalreporter.stats.get("", []) if report.when == "teardown"]
    paths = Counter(path for report in reports for name, path in report.user_properties if name == "undone")
    if paths:
        told = ", ".join(f"{count} {path}" for path, count in paths.most_common())
        terminalreporter.line(f"hard cases: {paths.total()} tests brought back to the baseline: {told}")
