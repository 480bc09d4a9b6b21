"""`seatrial down`: end the servers of a project at once, whoever holds them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from seatrial.cli.output import Output
from seatrial.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.resources.supervisor.client import Status

HELP = "end this project's servers"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may follow `seatrial down`."""
    from pathlib import Path

    parser.add_argument(
        "-C", "--project", type=Path, default=Path(), metavar="FOLDER", help="the project's folder (default: here)"
    )
    parser.add_argument("--all", action="store_true", help="the servers of every project")


def run(args: argparse.Namespace, out: Output) -> int:
    """End them, and wait for their end. Their data stays: templates and development databases are kept."""
    from seatrial.resources.supervisor.client import down, instances

    root = None if args.all else _root(args.project)
    # One that is just starting does not answer yet.
    running = [status for status in instances(root) if status.running or status.instance.alive]
    ended = []
    for status in running:
        with out.progress(f"ending {status.kind} on port {status.port}"):
            if down(status.instance):
                ended.append(status)
                out.line(_describe(status))
    if not ended:
        out.line("No server of ours runs." if root is None else f"No server of {root} runs.")
    out.value([{"project": one.project, "kind": one.kind, "pid": one.pid, "port": one.port} for one in ended])
    return 0


def _describe(status: Status) -> str:
    holders = f"; {status.holders} test runs held it" if status.holders > 1 else ""
    holders = "; a test run held it" if status.holders == 1 else holders
    return f"{status.kind} {status.version} on port {status.port} has ended{holders}"


def _root(folder: Path) -> Path:
    """The root that the project's servers know: the folder of its configuration."""
    from seatrial.config.find import find

    found = find(folder)
    if found is None:
        raise ConfigError(
            f"no configuration was found in {folder.absolute()} or above it",
            fix="go to the project's folder, or write `seatrial down --all` for the servers of every project",
        )
    return found.parent.absolute()
