"""From `pytest` to the first test: Seatrial beside bare pytest and pytest-postgresql, in one run.

    python benchmarks/start.py [--runs 5]

Each row is the wall time from the start of the process to the first line of the first test, less the same
of bare pytest on the same interpreter. The first run of Seatrial has an empty cache (initdb, template);
later runs find the data folder; a warm run finds the server still up. pytest-postgresql needs PostgreSQL's
own programs on the machine, and an ordinary user: as root it is run in a user namespace.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEST = """
import os, time
def test_first({fixture}):
    with open(os.environ["REACHED"], "w") as file:
        file.write(repr(time.time()))
    {use}
"""
SCHEMA = "\n".join(f"create table t{n} (id serial primary key, name text unique);" for n in range(20))
SEATRIAL = '[tool.seatrial.resources.db]\nkind = "postgres"\nschema = "schema.sql"\n'
PEER = """
from pathlib import Path
from pytest_postgresql import factories
proc = factories.postgresql_proc(executable={pg_ctl!r}, load=[Path(__file__).parent / "schema.sql"])
db = factories.postgresql("proc")
"""


def seconds(
    folder: Path, environ: dict[str, str], prefix: tuple[str, ...] = (), options: tuple[str, ...] = ()
) -> float:
    """Wall seconds from the start of pytest to its first test."""
    reached = folder / "reached"
    argv = [
        *prefix,
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        *options,
        "test_first.py",
    ]
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
    (folder / "schema.sql").write_text(SCHEMA)
    for file, text in files.items():
        (folder / file.replace("_dot_", ".")).write_text(text)
    return folder


def main() -> None:
    """Measure and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=5)
    runs = arguments.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="start-") as temporary:
        root = Path(temporary)
        root.chmod(0o755)
        hidden = ("SEATRIAL_", "PYTEST_", "PYTHONDONTWRITEBYTECODE")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        environ["SEATRIAL_CACHE"] = str(root / "cache")
        environ["SEATRIAL_IDLE"] = "0.05"
        query = 'db.execute("select count(*) from t0")'
        # Without the other plugins of this environment, which load in every row and vary by more than we cost.
        environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        plugin = ("-p", "seatrial.pytest_plugin")
        bare = project(root, "bare", "", "pass")
        ours = project(root, "seatrial", "db", query, pyproject_dot_toml=SEATRIAL)
        rows: list[tuple[str, list[float]]] = [("bare pytest", [seconds(bare, environ) for _ in range(runs + 1)][1:])]
        rows.append(("Seatrial, very first run", [seconds(ours, environ, options=plugin)]))
        later = []
        for _ in range(runs):
            time.sleep(1.0)  # the server of the run before has ended by itself
            later.append(seconds(ours, environ, options=plugin))
        rows.append(("Seatrial, later runs", later))
        environ["SEATRIAL_IDLE"] = "20"
        rows.append(("Seatrial, warm server", [seconds(ours, environ, options=plugin) for _ in range(runs + 1)][1:]))
        found = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))) or [shutil.which("pg_ctl") or ""]
        if found[-1]:
            peer = project(root, "peer", "db", query, conftest_dot_py=PEER.format(pg_ctl=found[-1]))
            prefix = ("unshare", "--user", "--map-user=65534", "--map-group=65534") if os.geteuid() == 0 else ()
            home = environ | {"HOME": str(root)}
            rows.append(
                (
                    "pytest-postgresql",
                    [seconds(peer, home, prefix, ("-p", "pytest_postgresql.plugin")) for _ in range(runs)],
                )
            )
    base = statistics.median(rows[0][1])
    print(f"{'from pytest to the first test':32} {'median s':>9} {'min s':>7} {'max s':>7} {'beyond bare':>12}")
    for name, values in rows:
        middle = statistics.median(values)
        print(f"{name:32} {middle:9.3f} {min(values):7.3f} {max(values):7.3f} {middle - base:12.3f}")


if __name__ == "__main__":
    main()
