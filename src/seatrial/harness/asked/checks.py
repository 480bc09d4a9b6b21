"""What a test did that its project may not want: responses against the app's own description, calls beyond."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from seatrial import events
from seatrial.apps.observe.seen import in_one_line
from seatrial.errors import ContractError, OutboundError, SeatrialError
from seatrial.events import Exchange

OPENAPI = "openapi"
OUTBOUND = "outbound"


class Description(Protocol):
    """What an app says of itself."""

    def contradiction(self, exchange: Exchange) -> str:
        """In what a response contradicts it; empty where it does not. May raise anything where that can't be told."""
        ...


class Unknown:
    """A `Description` that can't be had.

    Args:
        why: for each response that should have been compared with it.
    """

    def __init__(self, why: ContractError) -> None:
        self._why = why

    def contradiction(self, exchange: Exchange) -> str:  # noqa: ARG002 - of no response it can be told
        """Raises `ContractError`."""
        raise self._why.with_traceback(None)


class Checks:
    """Tells of both, and fails a test for those that the configuration is strict about.

    Args:
        describe: from an app's object to its description; None where it has none, or none can be checked.
        strict: "openapi", "outbound".
        emit: who is told.
    """

    def __init__(
        self,
        describe: Callable[[Any], Description | None],
        strict: Collection[str] = (),
        emit: events.Emit = events.ignore,
    ) -> None:
        self._describe = describe
        self._strict = strict
        self._emit = emit
        self._test = ""
        self._beyond: dict[tuple[str, int], None] = {}
        self._descriptions: dict[str, Description | None] = {}
        self._noted: set[str] = set()

    def begin(self, test: str) -> None:
        """A test begins."""
        self._test = test
        self._beyond.clear()

    def beyond(self, host: str, port: int) -> bool:
        """The running test reaches beyond this machine; whether it must not."""
        if not self._test:
            return False
        if (host, port) not in self._beyond:
            self._beyond[host, port] = None
            self._emit(events.Outbound(resource=OUTBOUND, test=self._test, host=host, port=port))
        return OUTBOUND in self._strict

    def end(self, exchanges: Sequence[Exchange], apps: Mapping[str, Any]) -> list[SeatrialError]:
        """The test is over; returns what it must be told.

        Args:
            exchanges: those of the test.
            apps: the apps of this process, by the name that they answer under.
        """
        test, self._test = self._test, ""
        told: list[SeatrialError] = [*self._contradictions(test, exchanges, apps)]
        if OUTBOUND in self._strict:
            told.extend(
                OutboundError(
                    f"the test opened a connection to {host}:{port}",
                    cause='the configuration has "outbound" in `strict`, and `allow_hosts` does not name this host',
                    fix=f'add it, as in allow_hosts = ["{host}"], or keep the app from calling it in tests',
                )
                for host, port in self._beyond
            )
        return told

    def _contradictions(self, test: str, exchanges: Sequence[Exchange], apps: Mapping[str, Any]) -> list[ContractError]:
        found: dict[tuple[str, str], None] = {}
        incomparable: dict[str, ContractError] = {}
        for exchange in exchanges:
            if exchange.raised:
                continue  # nobody has seen a response
            operation = f"{exchange.method} {exchange.route}"
            description = self._description(exchange.resource, apps)
            try:
                text = description.contradiction(exchange) if description is not None else ""
            except Exception as error:  # noqa: BLE001 - the app's own words may hold anything; the test is checked in
                why = _incomparable(f"to {operation}", error)
                incomparable[why.what] = why
                self._note(exchange.resource, why)
                continue
            if text:
                found[operation, text] = None
                self._emit(events.Contradiction(resource=exchange.resource, test=test, operation=operation, text=text))
        if OPENAPI not in self._strict:
            return []
        return [
            *incomparable.values(),
            *[
                ContractError(
                    f"{operation} {text}",
                    cause='the configuration has "openapi" in `strict`, and the app describes itself otherwise',
                    fix="describe this response (`responses=` in FastAPI and Litestar), or mend the endpoint",
                )
                for operation, text in found
            ],
        ]

    def _note(self, answerer: str, why: ContractError) -> None:
        """Where nobody is strict about it: once a run."""
        text = f"{why.what.removesuffix('.')}: {why.cause}"
        if OPENAPI not in self._strict and text not in self._noted:
            self._noted.add(text)
            self._emit(events.Note(resource=answerer, text=text))

    def _description(self, answerer: str, apps: Mapping[str, Any]) -> Description | None:
        if answerer not in self._descriptions:
            app = apps.get(answerer)
            if app is None:
                return None
            try:
                self._descriptions[answerer] = self._describe(app)
            except Exception as error:  # noqa: BLE001 - raised by the app, which is asked once
                self._descriptions[answerer] = Unknown(_incomparable(f"of {answerer}", error))
        return self._descriptions[answerer]


def _incomparable(which: str, error: Exception) -> ContractError:
    """That these responses can't be compared with the description, because of `error`."""
    if isinstance(error, ContractError):
        return error
    return ContractError(
        f"Responses {which} can't be compared with the app's OpenAPI description.",
        cause=in_one_line(error),
        fix='mend what the cause names, in the description or in the response, or take "openapi" out of `strict`',
    )
