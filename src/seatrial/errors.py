"""Everything that Seatrial raises on purpose, as one tree.

    SeatrialError
    ├── ConfigError         a key, a value or an import path in the configuration
    ├── ProviderError       no server can be had, or it did not start
    │   └── ServerLost      a server that ran is gone
    │       └── ServerSpent a test did something to a server that can't be undone; it has to be replaced
    ├── TemplateError       schema, migrations or seed data failed
    ├── Refused             what we will not do: somebody's data is at stake
    ├── IsolationError      a test could not be brought back to its baseline, or left something behind
    │   ├── PastRollback    a test did what one transaction can't hold
    │   └── NeedsClone      a copy can't be undone; only a fresh clone is the baseline again
    ├── AppError            the app could not be imported, started or stopped, or it broke its interface
    ├── WebSocketClosed     the app closed a WebSocket of the test's, or refused it
    ├── ContractError       a response contradicts what the app promised, and the configuration is strict about that
    ├── AdapterError        a suite asked more of a container than `adapt` can answer
    └── OutboundError       a test reached beyond this machine, and the configuration is strict about that

Each has three parts: what happened, the probable cause, and what to type next.
"""

from __future__ import annotations


class SeatrialError(Exception):
    """What happened, its probable cause, and what to type next.

    Args:
        what: one sentence, with the names and values that the user can recognise.
        cause: the probable cause; empty where `what` already says it.
        fix: what to type or change next. Each of ours has one.
    """

    def __init__(self, what: str, *, cause: str = "", fix: str = "") -> None:
        Exception.__init__(self, what)  # not super(): a framework's namesake may come next, with demands of its own
        self.what = what
        self.cause = cause
        self.fix = fix

    def __str__(self) -> str:
        parts = [self.what]
        if self.cause:
            parts.append(f"  why: {self.cause}")
        if self.fix:
            parts.append(f"  fix: {self.fix}")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.cause, self.fix)


def _rebuild(kind: type[SeatrialError], what: str, cause: str, fix: str) -> SeatrialError:
    """Unpickle: test workers send their errors to the controller."""
    return kind(what, cause=cause, fix=fix)


class ConfigError(SeatrialError):
    """A key, a value or an import path in the configuration is wrong."""


class ProviderError(SeatrialError):
    """No server can be had, or it did not start."""


class ServerLost(ProviderError):
    """A server that ran has gone away."""


class ServerSpent(ServerLost):
    """A test did something to a server that can't be undone: the server has to be replaced by a new one."""


class TemplateError(SeatrialError):
    """Schema, migrations or seed data failed; no half-built template is left."""


class Refused(SeatrialError):
    """We will not do this: somebody's data may be at stake. Nothing was touched."""


class IsolationError(SeatrialError):
    """A test left something behind, or its state could not be brought back."""


class PastRollback(IsolationError):
    """A test did what one transaction can't hold, and it was undone. Under `auto` the choice is to blame for that."""


class NeedsClone(IsolationError):
    """This copy can't be undone in place; a fresh clone is the only way back to the baseline."""

    def __init__(
        self, what: str, *, cause: str = "", fix: str = "nothing: the test after it gets a fresh clone"
    ) -> None:
        super().__init__(what, cause=cause, fix=fix)


class AppError(SeatrialError):
    """The app could not be imported, started or stopped, or it broke the rules of its interface."""


class WebSocketClosed(SeatrialError):
    """The app closed a WebSocket of the test's, or refused it.

    Args:
        code: with which it was closed: 1000 where all was well; 1006 where there was no WebSocket yet.
        reason: the app's words; may be empty.
        response: the app's response to a WebSocket that it refused; None once it was open.
    """

    def __init__(self, code: int = 1000, reason: str = "", response: object = None) -> None:
        what = "closed the WebSocket" if response is None else "refused the WebSocket"
        super().__init__(
            f"The app {what} with code {code}{f': {reason}' if reason else ''}.",
            fix="expect it with pytest.raises(WebSocketClosed), whose value has the code, the reason and the response",
        )
        self.code = code
        self.reason = reason
        self.response = response

    def __reduce__(self) -> tuple[object, ...]:
        return WebSocketClosed, (self.code, self.reason, self.response)


class ContractError(SeatrialError):
    """A response contradicts what its app promised."""


class OutboundError(SeatrialError):
    """A test opened a connection to a host beyond this machine that the configuration does not name."""


class AdapterError(SeatrialError):
    """A suite that was written for another tool asked more of it than `adapt` can answer."""
