"""The `seatrial` command: one module a subcommand, errors in three parts, and an exit status that means something."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType, ModuleType

from seatrial import __version__
from seatrial.cli.output import Output, Unread
from seatrial.errors import SeatrialError

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "init": "commands.init",
        "doctor": "commands.doctor",
        "up": "commands.servers.up",
        "down": "commands.servers.down",
        "status": "commands.servers.status",
        "logs": "commands.servers.logs",
        "shell": "commands.shell",
        "run": "commands.run",
        "serve": "commands.serve",
        "clean": "commands.clean",
        "adopt": "commands.adopt",
    }
)
"""Each with its module, in the order in which `--help` lists them."""
_FAILED, _INTERRUPTED, _UNREAD = 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0, what the command says, or 2 with the error on standard error."""
    args = _parser().parse_args(argv)
    try:
        return _status(args, Output(as_json=args.json))
    except Unread:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _UNREAD


def _status(args: argparse.Namespace, out: Output) -> int:
    command: ModuleType = args.command
    try:
        status: int = command.run(args, out)
    except SeatrialError as error:
        out.error(error)
        return _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seatrial", description="Integration tests on real dependencies: every test starts from the same state."
    )
    parser.add_argument("--version", action="version", version=f"seatrial {__version__}")
    below = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = import_module(f"seatrial.cli.{module}")
        own = below.add_parser(name, help=command.HELP, description=command.__doc__)
        own.add_argument("--json", action="store_true", help="print one JSON value, for machines")
        command.arguments(own)
        own.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
