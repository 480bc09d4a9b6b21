"""One worker of a test run elsewhere: a harness of its own in a thread of its own."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any, TypeVar, cast

from seatrial import events
from seatrial.control.api import messages
from seatrial.control.api.advice import for_clients
from seatrial.control.api.problems import RequestError
from seatrial.control.leases.door import Door
from seatrial.control.leases.lane import Lane
from seatrial.control.leases.layers import WorkerLayers
from seatrial.control.leases.lease import Lease
from seatrial.harness.harness import Harness
from seatrial.report.left import Left, left

T = TypeVar("T")
_LONGEST = 14
"""Characters of a worker's name that fit into a database's, beside the longest name of a resource."""


def database_suffix(worker: str) -> str:
    """What stands for the worker in the names of its copies: no other kind of copy begins with "w"."""
    if len(worker) < _LONGEST:
        return f"w{worker}"
    return f"w{hashlib.sha256(worker.encode()).hexdigest()[: _LONGEST - 1]}"


def in_words(event: events.Event) -> tuple[str, ...]:
    """What whoever runs the tests should read of it, if anything."""
    if isinstance(event, Left):
        return (for_clients(left(event)),)
    if isinstance(event, events.Note):
        return (f"{event.resource}: {for_clients(event.text)}",)
    return ()


class RemoteTest:
    """A `TestContext` for a test that runs elsewhere."""

    def __init__(self, test: str) -> None:
        self.id = test
        self.failed = False
        self.logs: dict[str, str] = {}
        self.said: list[str] = []

    def add_cleanup(self, cleanup: Callable[[], None]) -> None:
        """Its runner cleans up by itself, before it checks in."""
        raise NotImplementedError("a test that runs elsewhere takes no cleanup from here")

    def log(self, title: str, text: str) -> None:
        """What a server has logged, or what else helps to understand a failure."""
        what, _, resource = title.rpartition(" of ")
        if what.startswith("log "):
            self.logs[resource] = text
        else:
            self.said.append(text)


class Worker:
    """The copies of one worker. Every method runs in the worker's lane, in the order of the requests.

    Args:
        name: as the runner calls it.
        compose: makes the harness, given who is to be told what happens.
        lease: whether it is still wanted.
        open_door: a socket of its own, if there can be one.
    """

    def __init__(
        self,
        name: str,
        compose: Callable[[events.Emit], Harness],
        lease: Lease,
        open_door: Callable[[Worker], Door | None],
    ) -> None:
        self.name = name
        self.lease = lease
        self.gone = asyncio.Event()
        self._lane = Lane(f"worker {name}")
        self._compose = compose
        self._harness: Harness | None = None
        self._keys: dict[str, str] = {}
        self._heard: list[events.Event] = []
        self._notes: list[str] = []
        """What nobody has been told yet: the next answer that has notes tells it."""
        self._test: RemoteTest | None = None
        self._layers = WorkerLayers(name, self._say)
        self._open_door = open_door
        self._door: Door | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """The ids of its layers, the lowest first."""
        return self._layers.ids()

    async def open(self) -> messages.Worker:
        """Have a copy of each resource. Raises what keeps the first of them from it."""
        return await self._lane.run(self._open)

    async def checkout(self, asked: messages.CheckoutRequest) -> messages.Checkout:
        """A test begins."""
        return await self._lane.run(lambda: self._checkout(asked))

    async def checkin(self, asked: messages.CheckinRequest) -> messages.Checkin:
        """The test is over."""
        return await self._lane.run(lambda: self._checkin(failed=asked.failed, keep=asked.keep))

    async def next(self, asked: messages.NextRequest) -> messages.Next:
        """The test is over, and the next begins."""
        return await self._lane.run(lambda: self._next(asked))

    async def open_layer(self, name: str) -> messages.Layer:
        """Rows for several tests come next."""
        return await self._lane.run(lambda: self._layers.open(self._between_tests(), name))

    async def lay(self, number: str) -> messages.Layer:
        """They are written."""
        return await self._lane.run(lambda: self._layers.lay(self._between_tests(), number))

    async def lift(self, number: str) -> messages.Layer:
        """Their tests are over."""
        return await self._lane.run(lambda: self._lift(number))

    async def close(self) -> None:
        """Drop the copies. Whoever holds them sees the end of that."""
        self.gone.set()
        try:
            await self._lane.run(self._close)
        finally:
            self._lane.close()

    def answer(self, step: str, body: Any) -> messages.Checkout | messages.Checkin | messages.Next:
        """What one of the three methods of that name would answer. Called in the worker's lane, by its door."""
        with self.lease.used():
            if step == "checkout":
                return self._checkout(body)
            if step == "checkin":
                return self._checkin(failed=body.failed, keep=body.keep)
            return self._next(body)

    def _open(self) -> messages.Worker:
        if self._harness is None:
            self._harness = self._compose(self._hear)
            self._harness.start(self._harness.resources)
        harness = self._harness
        failures = [managed.failure for managed in harness.resources.values() if managed.failure is not None]
        if failures:
            raise failures[0]
        self._notes.clear()  # of templates, which the server itself has said
        if self._door is None:
            self._door = self._open_door(self)
            if self._door is not None:
                self._lane.attend(self._door)
        plans = {name: managed.plan for name, managed in harness.resources.items()}
        return messages.Worker(
            worker=self.name,
            env={variable: value for plan in plans.values() for variable, value in plan.variables.items()},
            resources={
                name: messages.Ready(
                    url=plan.address.url(),
                    isolation=cast("messages.Configured", plan.isolation),
                    template=self._keys[name],
                )
                for name, plan in plans.items()
            },
            layers=self.layers,
            socket=str(self._door.path) if self._door is not None else None,
        )

    def _lift(self, number: str) -> messages.Layer:
        if self._test is not None:  # it never ended: its process was killed
            self._notes.extend(self._checkin(failed=False, keep=False).notes)
        return self._layers.lift(self._ready(), number)

    def _between_tests(self) -> Harness:
        harness = self._ready()
        if self._test is not None:
            raise RequestError(
                409,
                f'worker {self.name} is running the test "{self._test.id}"',
                cause="a worker has one copy of each resource, so one test at a time can have it",
                fix="check that test in first; for tests that run at once take a clone each: POST /v1/clones",
            )
        return harness

    def _checkout(self, asked: messages.CheckoutRequest | messages.NextRequest) -> messages.Checkout:
        harness = self._between_tests()
        for name in (*asked.isolation, *asked.joins):
            if name not in harness.resources:
                known = ", ".join(harness.resources)
                raise RequestError(404, f'there is no resource "{name[:40]}"', fix=f"the resources are: {known}")
        self._heard.clear()
        running = RemoteTest(asked.test)
        joins = [name for name, can in asked.joins.items() if can]
        try:
            harness.begin(running, asked.isolation, harness.resources, joins=joins)
        except BaseException:
            harness.end()  # some of the resources may have been handed out by then
            raise
        self._test = running
        late = {event.resource: event for event in self._heard if isinstance(event, events.LateWrite)}
        return messages.Checkout(
            test=asked.test,
            resources={
                event.resource: messages.Leased(
                    url=harness.url(event.resource),
                    isolation=cast("messages.Isolation", event.isolation),
                    reason=event.reason,
                    late=_late(late.get(event.resource)),
                )
                for event in self._heard
                if isinstance(event, events.CheckedOut)
            },
            notes=self._say(),
        )

    def _next(self, asked: messages.NextRequest) -> messages.Next:
        done = self._checkin(failed=asked.failed, keep=asked.keep) if self._test is not None else None
        return messages.Next(checkin=done, checkout=self._checkout(asked))

    def _checkin(self, *, failed: bool, keep: bool) -> messages.Checkin:
        harness, test = self._ready(), self._test
        if test is None:
            raise RequestError(
                409,
                f"worker {self.name} runs no test",
                cause="it was checked in already, or never checked out",
                fix=f"POST /v1/workers/{self.name}/checkout comes first",
            )
        test.failed = failed
        if failed:
            harness.explain_failure(test)
        self._heard.clear()
        self._test = None
        told = harness.end(keep=keep)
        return messages.Checkin(
            test=test.id,
            told=tuple(messages.Problem.of(error) for error in told),
            undone={event.resource: _undone(event) for event in self._heard if isinstance(event, events.CheckedIn)},
            kept={event.resource: event.url for event in self._heard if isinstance(event, events.Kept)},
            logs=test.logs,
            notes=(*map(for_clients, test.said), *self._say()),
        )

    def _say(self) -> tuple[str, ...]:
        notes = tuple(self._notes)
        self._notes.clear()
        return notes

    def _close(self) -> None:
        if self._door is not None:
            self._door.close()
        harness, self._harness = self._harness, None
        if harness is not None:
            try:
                if self._test is not None:
                    harness.end(recover=False)  # what it changed of the whole server is put back; no test follows
            finally:
                harness.close()

    def _ready(self) -> Harness:
        if self._harness is None:
            raise RequestError(404, f"worker {self.name} is gone", fix="POST /v1/workers opens it again")
        return self._harness

    def _hear(self, event: events.Event) -> None:
        if isinstance(event, events.TemplateReady):
            self._keys[event.resource] = event.key
        else:
            self._heard.append(event)
            self._notes.extend(in_words(event))


def _late(event: events.LateWrite | None) -> messages.Late | None:
    return messages.Late(test=event.test, tables=event.tables) if event is not None else None


def _undone(event: events.CheckedIn) -> messages.Undone:
    return messages.Undone(
        path=event.path,
        tables=event.tables,
        rows=event.rows,
        milliseconds=round(event.milliseconds, 3),
        reason=event.reason,
    )
