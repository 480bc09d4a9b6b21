"""Takes down what the running test asks: who asked whom by HTTP, and what that sent to the databases."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from seatrial import events
from seatrial.apps.observe.seen import Seen
from seatrial.core.redact import redact
from seatrial.events import Exchange, Statement

TEST = "test"
MOMENT = 0.05
"""Seconds that who reads the record waits for an app that has answered and not returned yet. What goes on longer (a
background task) is not waited for again."""

_WRITES = re.compile(
    r"^\s*(with\b.*)?\b(insert|update|delete|merge|copy|truncate|create|alter|drop|call)\b", re.IGNORECASE | re.DOTALL
)
"""Who only reads disturbs nobody."""


class Finds(Protocol):
    """What finds the line of the project that the running code was called from."""

    def nearest(self) -> str:
        """File and line: "shop/orders.py:41"."""
        ...


@dataclass(slots=True)
class _Open:
    """An exchange that goes on."""

    number: int
    answerer: str
    caller: str
    record: _Record
    around: _Open | None
    """The one that caused it, where that is known."""
    seen: Seen
    statements: list[Statement] = field(default_factory=list)
    late: bool = False
    """Whether somebody has waited for its end in vain."""

    def so_far(self) -> Exchange:
        """As a value, as it is now."""
        return Exchange(
            resource=self.answerer,
            test=self.record.test,
            number=self.number,
            caller=self.caller,
            method=self.seen.method,
            path=self.seen.path,
            query=self.seen.query,
            route=self.seen.route,
            status=self.seen.status,
            media_type=self.seen.media_type,
            milliseconds=self.seen.milliseconds,
            error=self.seen.error,
            raised=self.seen.raised,
            body=self.seen.body,
            body_state=self.seen.state,
            statements=tuple(self.statements),
        )


@dataclass(slots=True)
class _Record:
    """One test's: what comes in after its end still goes to this one, and is seen by nobody."""

    test: str
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    exchanges: list[Exchange] = field(default_factory=list)
    """Those that are over."""
    open: dict[int, _Open] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    disturbed: dict[int, _Open] = field(default_factory=dict)
    """Requests of earlier tests that still do something, by their identity."""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def settle(self) -> None:
        """Wait a moment for apps that have answered: their client goes on before they have returned."""
        with self.changed:
            answered = [each for each in self.open.values() if each.seen.answered and not each.late]
            self.changed.wait_for(lambda: not any(each.number in self.open for each in answered), MOMENT)
            for each in answered:
                each.late = True

    def answered(self) -> list[Exchange]:
        """Those that their clients have an answer to, in the order in which they began."""
        with self.changed:
            answered = [each.so_far() for each in self.open.values() if each.seen.answered]
            return sorted([*self.exchanges, *answered], key=lambda each: each.number)


class Watch:
    """The record of the running test.

    Args:
        databases: by the name of a database as drivers know it, the resource whose copy it is.
        emit: who is told of what disturbs the test.
    """

    def __init__(self, databases: Mapping[str, str], emit: events.Emit = events.ignore) -> None:
        self._databases = dict(databases)
        self._emit = emit
        self._record: _Record | None = None
        # The context of a request follows it through tasks, worker threads of anyio, and calls of other apps.
        self._current: ContextVar[_Open | None] = ContextVar("seatrial_exchange", default=None)

    def begin(self, test: str) -> None:
        """A test begins."""
        self._record = _Record(test=test)

    def end(self) -> None:
        """The test is over."""
        self._record = None

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """Those of the running test that are answered, in the order in which they began."""
        if self._record is None:
            return ()
        self._record.settle()
        return self._record.answered()

    @property
    def statements(self) -> Sequence[Statement]:
        """Those of the running test, in order."""
        if self._record is None:
            return ()
        self._record.settle()
        return list(self._record.statements)

    def statement(self, database: str, sql: str, lines: Finds) -> None:
        """A driver is about to send `sql`; it is of interest if the database is one of the run's."""
        record = self._record
        resource = self._databases.get(database)
        if record is None or resource is None:
            return
        current = self._current.get()
        if current is not None and current.record.test != record.test and _WRITES.search(sql):
            self._disturbed(record, current, resource, sql)
        number = current.number if current is not None and current.record is record else 0
        seen = Statement(resource=resource, sql=sql, where=lines.nearest(), exchange=number)
        record.statements.append(seen)
        if current is not None:
            current.statements.append(seen)

    def _disturbed(self, record: _Record, by: _Open, resource: str, sql: str) -> None:
        """What a request of an earlier test has started goes on: told once in each test."""
        with record.changed:
            if id(by) in record.disturbed:
                return
            record.disturbed[id(by)] = by
        who = f"{by.seen.method} {by.seen.path} of {by.record.test}"
        self._emit(events.Disturbed(resource=resource, test=record.test, query=redact(sql), by=who))

    def witness(self, answerer: str) -> Observer:
        """Who looks at the exchanges of one app."""
        return Observer(self, answerer)

    @contextmanager
    def on_behalf_of(self, caller: str) -> Iterator[None]:
        """What begins inside, in this context, was asked by `caller`, who may be in another process."""
        record = self._record
        if record is None or caller == TEST:
            yield
            return
        self._current.set(_Open(0, caller, "", record, self._current.get(), Seen("", "")))
        try:
            yield
        finally:
            self._current.set(None)

    def opened(self, answerer: str, seen: Seen, caller: str = "") -> _Open | None:
        """An exchange begins, in this context; None while no test runs."""
        record = self._record
        if record is None:
            return None
        around = self._current.get()
        caller = caller or (around.answerer if around is not None else TEST)
        ticket = _Open(next(record.numbers), answerer, caller, record, around, seen)
        with record.changed:
            record.open[ticket.number] = ticket
        self._current.set(ticket)
        return ticket

    def closed(self, ticket: _Open) -> None:
        """It is over, in the context in which it began, or in another one where it was streamed."""
        if self._current.get() is ticket:
            self._current.set(ticket.around)
        with ticket.record.changed:
            ticket.record.exchanges.append(ticket.so_far())
            del ticket.record.open[ticket.number]
            ticket.record.changed.notify_all()


class Observer:
    """Notes the exchanges of one app in a `Watch`. Implements `Witness`."""

    def __init__(self, watch: Watch, answerer: str) -> None:
        self._watch = watch
        self._answerer = answerer

    def begins(self, seen: Seen) -> _Open | None:
        """One begins."""
        return self._watch.opened(self._answerer, seen)

    def ended(self, ticket: _Open) -> None:
        """It is over."""
        self._watch.closed(ticket)
