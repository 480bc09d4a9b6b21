"""From `pytest` to the first test, and until a server is ready: Seatrial beside what projects do today, in one run.

    python benchmarks/start.py [--kind postgres valkey nats mariadb] [--runs 5]

Each row of the first table is the wall time from the start of the process to the first line of the first test; the last
column is that less the same of bare pytest on the same interpreter. The first run of Seatrial has an empty cache
(initdb, template); later runs find the data folder; a warm run finds the server still up. The rivals take turns.

The second table is what of it is the server: until a query is answered, from a data folder that is in the cache, and
until a second run holds a server that is up.

pytest-postgresql, pytest-redis and pytest-mysql need their servers on the machine, where Seatrial takes a wheel, and are
left out with the reason where they or the servers are not there. PostgreSQL's wants an ordinary user: as root it is run
in a user namespace.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _start.kinds import KINDS, Kind
from _start.ready import ready

TEST = """
import os, time
def test_first({fixture}):
    with open(os.environ["REACHED"], "w") as file:
        file.write(repr(time.time()))
    {use}
"""
OURS = ("-p", "seatrial.pytest_plugin")


def seconds(
    folder: Path, environ: dict[str, str], prefix: tuple[str, ...] = (), options: tuple[str, ...] = ()
) -> float:
    """Wall seconds from the start of pytest to its first test."""
    reached = folder / "reached"
    argv = [*prefix, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_first.py"]
    before = time.time()
    done = subprocess.run(
        argv, cwd=folder, env=environ | {"REACHED": str(reached)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return float(reached.read_text()) - before


def project(root: Path, name: str, fixture: str, use: str, **files: str) -> Path:
    """A project of one test."""
    folder = root / name
    folder.mkdir()
    (folder / "test_first.py").write_text(TEST.format(fixture=fixture, use=use))
    for file, text in files.items():
        (folder / file.replace("_dot_", ".")).write_text(text)
    return folder


def from_pytest(root: Path, kind: Kind, runs: int, environ: dict[str, str]) -> None:
    """Measure and print the first table of one kind."""
    bare = project(root, f"bare-{kind.name}", "", "pass")
    ours = project(root, kind.name, "db", kind.use, schema_dot_sql=kind.schema, pyproject_dot_toml=kind.config())

    def later() -> float:
        time.sleep(1.0)  # the server of the run before has ended by itself
        return seconds(ours, environ | {"SEATRIAL_IDLE": "0.05"}, options=OURS)

    def warm() -> float:
        held = environ | {"SEATRIAL_IDLE": "20"}
        seconds(ours, held, options=OURS)
        found = seconds(ours, held, options=OURS)
        subprocess.run([sys.executable, "-m", "seatrial", "down"], cwd=ours, env=held, capture_output=True, check=True)
        return found

    first = seconds(ours, environ | {"SEATRIAL_IDLE": "0.05"}, options=OURS)
    rivals: dict[str, Callable[[], float]] = {
        "bare pytest": lambda: seconds(bare, environ),
        "Seatrial, later runs": later,
        "Seatrial, warm server": warm,
    }
    left_out = kind.missing() if kind.peer else "there is no plugin to compare with"
    if not left_out:
        conftest = kind.conftest.format(binary=kind.binary())
        files = {"schema_dot_sql": kind.schema, "conftest_dot_py": conftest}
        peer = project(root, f"peer-{kind.name}", "db", kind.peer_use or kind.use, **files)
        home = environ | {"HOME": str(root)}
        rivals[kind.peer] = lambda: seconds(peer, home, kind.prefix(), ("-p", kind.plugin))
    rivals["bare pytest"]()  # its modules are compiled
    rows: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(runs):
        for name, run in rivals.items():
            rows[name].append(run())
    base = statistics.median(rows["bare pytest"])
    print(
        f"\n{f'{kind.name}: from pytest to the first test':40} {'median':>9} {'min':>7} {'max':>7} {'beyond bare':>12}"
    )
    for name, values in {"Seatrial, very first run": [first], **rows}.items():
        middle = statistics.median(values)
        print(f"{name:40} {middle:9.3f} {min(values):7.3f} {max(values):7.3f} {middle - base:12.3f}")
    if left_out:
        print(f"{kind.peer or 'nobody else'}: {left_out}")


def until_ready(root: Path, kinds: list[str], runs: int) -> None:
    """Measure and print the second table."""
    print(f"\n{'seconds until the server is ready':40} {'median':>9} {'min':>7} {'max':>7}")
    for name in kinds:
        folder = root / f"ready-{name}"
        folder.mkdir()
        cold, warm, server = ready(name, folder, runs)
        for what, values in ((server, cold), ("  attached to, where it was up", warm)):
            print(f"{what:40} {statistics.median(values):9.4f} {min(values):7.4f} {max(values):7.4f}")


def main() -> None:
    """Measure and print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kind", nargs="+", choices=[*KINDS], default=["postgres"])
    arguments.add_argument("--runs", type=int, default=5)
    asked = arguments.parse_args()
    print(f"load at the start: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="start-") as temporary:
        root = Path(temporary)
        root.chmod(0o755)
        hidden = ("SEATRIAL_", "PYTEST_", "PYTHONDONTWRITEBYTECODE")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        os.environ["SEATRIAL_CACHE"] = environ["SEATRIAL_CACHE"] = str(root / "cache")
        # Without the other plugins of this environment, which load in every row and vary by more than we cost.
        environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        for name in asked.kind:
            from_pytest(root, KINDS[name], asked.runs, environ)
        until_ready(root, asked.kind, asked.runs)


if __name__ == "__main__":
    main()
