"""`seatrial run -- COMMAND`: any command with the environment set, on a fresh copy of each resource."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from seatrial.cli import project
from seatrial.cli.output import Output
from seatrial.errors import SeatrialError

HELP = "run a command with the environment of a test run"
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
_STDERR = 2
_KILLED = 128
"""A shell tells a command that signal N has ended as 128 + N."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may follow `seatrial run`."""
    project.arguments(parser)
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")


def run(args: argparse.Namespace, out: Output) -> int:
    """Start what the project needs, run the command, drop the copies; end with the command's own status."""
    argv = args.argv[1:] if args.argv[:1] == ["--"] else args.argv
    if not argv:
        raise SeatrialError("no command was given", fix="write it after --, as in `seatrial run -- npm test`")
    config = project.configuration(args)
    with project.harness(config) as harness:
        names = project.chosen(config, []) if config.resources else []
        with out.progress(f"starting {', '.join(names)}"):
            project.start(harness, names)
        variables = sorted({name for managed in harness.resources.values() for name in managed.plan.variables})
        status = _run(argv, aside=out.as_json)
    out.value({"command": argv, "status": status, "resources": names, "environment": variables})
    return status


def _run(argv: Sequence[str], *, aside: bool) -> int:
    """`aside`: what it writes goes to standard error, since our standard output is to be one JSON value."""
    try:
        process = subprocess.Popen(argv, stdout=_STDERR if aside else None)
    except OSError as error:
        raise SeatrialError(
            f"{argv[0]} can't be run", cause=str(error.strerror), fix="check its name, and that it is on PATH"
        ) from error
    with _signals_to(process):
        status = process.wait()
    return _KILLED - status if status < 0 else status


@contextmanager
def _signals_to(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Signals that we get reach the command; an interrupt from the terminal reaches it already."""
    from_terminal = _in_foreground()

    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        if not (number == signal.SIGINT and from_terminal):
            process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Whether a terminal sends its interrupts to our process group, the command's among them."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
