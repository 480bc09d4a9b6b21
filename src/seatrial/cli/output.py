"""What a command prints: plain lines, coloured where a terminal is, or one JSON value for machines."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from seatrial.errors import SeatrialError

_PATIENCE = 1.0
"""Seconds after which a step that still runs says so."""
_ERASED = "\r\x1b[2K"
"""Takes back the line that a terminal shows."""


class Unread(Exception):
    """Whoever read our standard output has seen enough, as `head` has."""


def write(line: str) -> None:
    """Print a line at once. Raises `Unread`."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise Unread from error


class Output:
    """The standard output of one command."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._rich = not as_json and sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def line(self, text: str = "", style: str = "") -> None:
        """A line for people; nothing where machines read."""
        if self.as_json:
            return
        if self._rich and style:
            self._console().print(text, style=style, markup=False, highlight=False, soft_wrap=True)
        else:
            write(text)

    def value(self, value: Any) -> None:
        """The whole result, for machines; nothing where people read."""
        if self.as_json:
            write(json.dumps(value, indent=2, default=str))

    @contextmanager
    def progress(self, what: str) -> Iterator[None]:
        """Say `what` is going on, once it takes longer than a second; only where somebody sits before a terminal."""
        if self.as_json or not sys.stderr.isatty():
            yield
            return
        shown = threading.Event()

        def show() -> None:
            shown.set()
            _tell(f"{what} ...")

        timer = threading.Timer(_PATIENCE, show)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if shown.is_set():
                _tell(_ERASED)

    def error(self, error: SeatrialError) -> None:
        """The three parts on standard error, and as JSON for machines."""
        coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        head = "\x1b[1;31merror:\x1b[0m" if coloured else "error:"
        _tell(f"{head} {error}\n")
        self.value(
            {"error": {"kind": type(error).__name__, "what": error.what, "cause": error.cause, "fix": error.fix}}
        )

    def _console(self) -> Any:
        from rich.console import Console

        return Console(file=sys.stdout)


def _tell(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
