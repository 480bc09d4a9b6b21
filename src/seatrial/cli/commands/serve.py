"""`seatrial serve`: the harness behind HTTP, for test runners in other languages."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seatrial.cli import project
from seatrial.cli.numbers import HIGHEST_PORT, amount, whole
from seatrial.cli.output import Output, write
from seatrial.config.model import Config, ResourceConfig
from seatrial.errors import ConfigError

HELP = "serve resources to test runners of other languages by HTTP"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may follow `seatrial serve`."""
    project.arguments(parser)
    parser.add_argument(
        "--port", type=whole(0, HIGHEST_PORT), default=0, help="the port on 127.0.0.1 (default: any that is free)"
    )
    parser.add_argument("--socket", type=Path, metavar="PATH", help="a unix socket to answer at as well")
    parser.add_argument(
        "--integresql",
        type=whole(0, HIGHEST_PORT),
        metavar="PORT",
        help="answer clients of IntegreSQL at this port, too",
    )
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end when standard input is closed, and not for being idle"
    )
    parser.add_argument("--idle", type=amount, default=60.0, metavar="SECONDS", help="end after that long without use")
    parser.add_argument(
        "--grace", type=amount, default=2.0, metavar="SECONDS", help="for a client whose connection is lost"
    )
    parser.add_argument(
        "--unheld", type=amount, default=600.0, metavar="SECONDS", help="for a client that holds no connection"
    )
    parser.add_argument("--copies", type=whole(1), default=32, metavar="N", help="clones of a resource out at once")
    parser.add_argument("--wait", type=amount, default=30.0, metavar="SECONDS", help="for a clone to come back")
    parser.add_argument("--openapi", action="store_true", help="print the description of the API, and end")


def run(args: argparse.Namespace, out: Output) -> int:
    """Print one line of JSON when it is ready, and nothing more but notes on standard error; end with 0."""
    if args.openapi:
        from seatrial.control.api.description import describe

        _print(describe(), indent=2)
        return 0
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"`seatrial serve` needs {' and '.join(missing)}",
            fix="pip install 'seatrial[serve]'",
        )
    config = _config(args)
    from seatrial.control.leases.lease import Patience
    from seatrial.control.server import Options, serve
    from seatrial.control.service import Limits

    del out  # standard output carries one line, whether or not --json is given
    limits = Limits(
        patience=Patience(grace=args.grace, unheld=args.unheld), copies=args.copies, wait=args.wait, idle=args.idle
    )
    options = Options(
        port=args.port,
        socket=args.socket,
        integresql=args.integresql,
        until_stdin_closes=args.until_stdin_closes,
        limits=limits,
    )
    serve(config, options, _print, _say)
    return 0


def _config(args: argparse.Namespace) -> Config:
    """The project's; for clients of IntegreSQL, who bring their own schema, a PostgreSQL is enough."""
    from seatrial.config.find import find

    if args.integresql is None or find(args.project) is not None:
        return project.configuration(args)
    folder = args.project.absolute()
    return Config(root=folder, source=folder, resources=(ResourceConfig(name="db", kind="postgres"),))


def _print(value: dict[str, Any], indent: int | None = None) -> None:
    write(json.dumps(value, indent=indent))


def _say(text: str) -> None:
    sys.stderr.write(f"seatrial: {text}\n")
    sys.stderr.flush()
