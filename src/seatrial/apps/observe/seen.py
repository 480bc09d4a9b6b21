"""What is seen of an exchange, and who wants to know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from seatrial.apps.observe.encodings import Unreadable, decoded
from seatrial.core.redact import redact
from seatrial.core.wait import now
from seatrial.events import BodyState

LARGEST = 1_000_000
"""Bytes of a response that are kept for those who look at it; a larger one is passed on, and not kept."""
BODILESS = (204, 304)
"""Statuses whose responses have no body (RFC 9110, 6.4.1)."""


@dataclass(slots=True)
class Seen:
    """What was seen of one exchange so far; filled while it goes on."""

    method: str
    path: str
    query: str = ""
    route: str = ""
    status: int = 0
    media_type: str = ""
    error: str = ""
    raised: bool = False
    """Whether the client gets the error in the place of a response."""
    body: bytes | None = b""
    state: BodyState = BodyState.NONE
    """What `body` is; until its end has come, that it has not."""
    encoding: str = ""
    """The Content-Encoding."""
    milliseconds: float = 0.0
    answered: bool = False
    """Whether all of the response has come: its client may have it, and go on, while the app does so as well."""
    due: int | None = None
    """Bytes of the body that are still to come, where the response says how many it has."""
    began: float = field(default_factory=now)

    def starts(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """The response begins, or another one takes its place: WSGI allows that to an error."""
        told: dict[str, str] = {}
        for name, value in headers:
            key = name.lower()
            told[key] = f"{told[key]}, {value}" if key in told else value
        length = told.get("content-length", "")
        self.status = status
        self.media_type = media_type(told.get("content-type", ""))
        self.encoding = told.get("content-encoding", "").strip().lower()
        self.due = int(length) if length.isdigit() else None
        self.state = BodyState.BROKEN_OFF
        if self.method == "HEAD" or status in BODILESS:
            self.due, self.state = 0, BodyState.NONE
        if self.due == 0:
            self.completes()

    def keep(self, piece: bytes) -> None:
        """A piece of the body comes; it is taken down, as long as the whole is not too large."""
        if self.state is BodyState.BROKEN_OFF and self.body is not None:
            whole = self.body + piece if self.body else piece
            self.body, self.state = (whole, self.state) if len(whole) <= LARGEST else (None, BodyState.TOO_LARGE)
        if self.due is not None:
            self.due -= len(piece)
            if self.due <= 0:
                self.completes()

    def completes(self) -> None:
        """All of it has come, unless it was said to be longer."""
        if self.state is BodyState.BROKEN_OFF and self.body is not None and (self.due or 0) <= 0:
            try:
                self.body = decoded(self.body, self.encoding, LARGEST)
                self.state = BodyState.TOO_LARGE if self.body is None else BodyState.WHOLE
            except Unreadable:
                self.state = BodyState.ENCODED
        self.ends()

    def ends(self) -> None:
        """All of it has come, or nothing more will; what happens later takes none of the response's time."""
        if not self.answered:
            self.answered = True
            self.milliseconds = (now() - self.began) * 1000


class Witness(Protocol):
    """Whoever wants to know of exchanges. Called in the thread, and in the context, of the exchange."""

    def begins(self, seen: Seen) -> Any:
        """One begins; what is returned is given back to `ended`. None: it is of no interest."""
        ...

    def ended(self, ticket: Any) -> None:
        """It is over: the app has returned. `seen` may have been answered long before."""
        ...


def media_type(value: str) -> str:
    """A Content-Type without its parameters."""
    return value.split(";", 1)[0].strip().lower()


def in_one_line(error: BaseException) -> str:
    """An exception in one line."""
    lines = str(error).strip().splitlines()
    return redact(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)
