"""`seatrial logs`: what the servers of a resource have written, and write."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.cli import project
from seatrial.cli.numbers import whole
from seatrial.cli.output import Output, write
from seatrial.core import folders, wait
from seatrial.core.redact import redact
from seatrial.errors import ConfigError
from seatrial.resources.providers.data import password

if TYPE_CHECKING:
    from seatrial.config.model import Config
    from seatrial.resources.supervisor.client import Status

HELP = "show the log of a resource's server"
_EVERY = 0.1
"""Seconds between two looks at a log that is followed."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may follow `seatrial logs`."""
    project.arguments(parser)
    parser.add_argument("name", metavar="NAME", help="the resource")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written from now on")
    parser.add_argument(
        "-n", "--lines", type=whole(0), default=60, metavar="N", help="how many of the last (default: 60)"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Print the end of each log, without passwords. With --follow and --json: an object a line, until interrupted."""
    config = project.configuration(args)
    found = servers(config, args.name)
    secret = password(folders.cache().path)
    logs = [_Log(status.instance.log, secret) for status in found]
    ends = [log.end(args.lines) for log in logs]
    if out.as_json and not args.follow:
        out.value([{**_about(status), "lines": lines} for status, lines in zip(found, ends, strict=True)])
        return 0
    for status, lines in zip(found, ends, strict=True):
        _show(status, lines, out, several=len(found) > 1)
    while args.follow:
        for status, log in zip(found, logs, strict=True):
            _show(status, log.fresh(), out, several=len(found) > 1)
        wait.pause(_EVERY)
    return 0


def servers(config: Config, name: str) -> list[Status]:
    """The servers of one resource: those that run, or the one that ran last.

    Raises:
        ConfigError: there is no such resource, or it has no server of ours.
    """
    from seatrial.harness.compose import describe
    from seatrial.resources.providers.local import shape
    from seatrial.resources.supervisor.client import instances

    (name,) = project.chosen(config, [name])
    resource = next(one for one in config.resources if one.name == name)
    _, spec = describe(config, resource)
    if spec.program is None:
        raise ConfigError(
            f"`{name}` has no server, so it has no log",
            cause=f"{spec.kind} is a library",
            fix="name a resource with a server: `seatrial status` lists those that run",
        )
    if spec.url:
        raise ConfigError(
            f"the server of `{name}` is not ours, and its log is out of our reach",
            cause="the configuration names it by `url`",
            fix="look for it where that server runs",
        )
    found = [status for status in instances(config.root) if status.instance.about().get("shape") == shape(spec)]
    running = [status for status in found if status.running]
    last = sorted((status for status in found if status.instance.log.exists()), key=_written)[-1:]
    if not running and not last:
        raise ConfigError(f"no server of `{name}` has run yet", fix=f"start it: seatrial up {name}")
    return running or last


def _written(status: Status) -> float:
    return status.instance.log.stat().st_mtime


@dataclass(slots=True)
class _Log:
    """One log, read on from where the last look ended, also after it was begun anew."""

    path: Path
    secret: str
    """The password of our role on its server."""
    at: int = 0
    pending: bytes = b""

    def end(self, lines: int) -> list[str]:
        everything = list(self._read_on())
        return self._redacted(everything[-lines:] if lines > 0 else [])

    def fresh(self) -> list[str]:
        return self._redacted(self._read_on())

    def _redacted(self, lines: Iterable[str]) -> list[str]:
        return [redact(line, self.secret) for line in lines]

    def _read_on(self) -> Iterator[str]:
        try:
            with self.path.open("rb") as file:
                if file.seek(0, 2) < self.at:
                    self.at, self.pending = 0, b""
                file.seek(self.at)
                chunk = file.read()
        except FileNotFoundError:
            return
        self.at += len(chunk)
        *whole, self.pending = (self.pending + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)


def _about(status: Status) -> dict[str, Any]:
    return {"kind": status.kind, "port": status.port, "running": status.running, "log": str(status.instance.log)}


def _show(status: Status, lines: list[str], out: Output, *, several: bool) -> None:
    for line in lines:
        if out.as_json:
            write(json.dumps({"port": status.port, "line": line}))
        else:
            out.line(f"{status.port}  {line}" if several else line)
