"""`seatrial shell`: talk to a resource's development database by hand."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.cli import project
from seatrial.cli.development import development, held
from seatrial.cli.output import Output
from seatrial.errors import ConfigError, SeatrialError

if TYPE_CHECKING:
    from seatrial.config.model import Config
    from seatrial.harness.harness import Harness
    from seatrial.resources.protocol import Address, Prompt, Shell

HELP = "talk to a resource by hand, as with psql"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may follow `seatrial shell`."""
    project.arguments(parser)
    parser.add_argument("name", metavar="NAME", help="the resource")
    parser.add_argument("argv", nargs="*", default=[], metavar="-- OPTION", help="options of psql, redis-cli, ...")


def run(args: argparse.Namespace, out: Output) -> int:
    """Run the kind's usual program, or our own prompt where none is installed, or where machines read.

    With --json each request on standard input becomes {"request", "answer"} or {"request", "error"}.
    """
    from seatrial.resources.protocol import SupportsShell

    config = project.configuration(args)
    (name,) = project.chosen(config, [args.name])
    with project.harness(config) as harness:
        kind = harness.resources[name].plan.kind
        if not isinstance(kind, SupportsShell):
            raise ConfigError(
                f"there is no shell for `{name}`",
                cause=f"Seatrial knows no program to talk to a {kind.name} with",
                fix="`seatrial run -- COMMAND` runs yours, with the address in the environment",
            )
        with out.progress(f"starting {name}"):
            address = _address(config, harness, name)
        shell = kind.shell(address)
        argv = None if out.as_json else _installed(shell)
        if argv is None:
            with closing(shell.prompt()) as prompt:
                return _talk(name, prompt, out)
        options = args.argv[1:] if args.argv[:1] == ["--"] else args.argv
        with _interrupts_are_its_own():
            return subprocess.run([*argv, *options], env={**os.environ, **shell.env}, check=False).returncode


def _address(config: Config, harness: Harness, name: str) -> Address:
    """Where the development database is: a fresh copy of the template where there is none that is kept."""
    plan = harness.resources[name].plan
    if plan.spec.exclusive:
        one = held(config).get(name)
        if one is not None:
            return replace(plan.address, port=one.port)
    if plan.spec.program is not None and not plan.spec.exclusive:
        plan.server.start()
        address, _ = development(plan)
        if address is not None:
            return address
    project.start(harness, [name])
    return plan.address


def _installed(shell: Shell) -> list[str] | None:
    for program, *rest in shell.commands:
        found = shutil.which(program)
        if found is not None:
            return [found, *rest]
    return None


def _talk(name: str, prompt: Prompt, out: Output) -> int:
    answers, failed = [], False
    for request in _requests(name, prompt):
        try:
            answer = prompt.ask(request)
        except SeatrialError as error:
            failed = True
            answers.append({"request": request, "error": error.what})
            out.line(f"error: {error.what}", "red")
        else:
            answers.append({"request": request, "answer": answer})
            out.line(answer)
    out.value(answers)
    return int(failed and not sys.stdin.isatty())


def _requests(name: str, prompt: Prompt) -> Iterator[str]:
    """What is typed, or comes by a pipe, request by request, to the end of input."""
    typed = sys.stdin.isatty()
    text = ""
    while True:
        try:
            line = input(f"{name}{'.' if text else '>'} ") if typed else next(sys.stdin).rstrip("\n")
        except (EOFError, StopIteration):
            break
        text = f"{text}\n{line}" if text else line
        if text.strip() and prompt.whole(text):
            yield text
            text = ""
    if text.strip():
        yield text


@contextmanager
def _interrupts_are_its_own() -> Iterator[None]:
    """Ctrl-C in psql ends a query, not psql, nor us."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
