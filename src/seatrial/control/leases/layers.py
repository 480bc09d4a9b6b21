"""The layers of one worker: rows that a file or a suite writes for all of its tests, and that go when it is over."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from seatrial.control.api import messages
from seatrial.control.api.problems import RequestError
from seatrial.harness.harness import Harness


@dataclass(frozen=True, slots=True, eq=False)
class Owner:
    """A file or a suite, elsewhere."""

    name: str


class WorkerLayers:
    """The layers by id, the lowest first. Used in the worker's lane, between its tests.

    Args:
        worker: whose they are.
        say: what is to be told of all that has happened until now.
    """

    def __init__(self, worker: str, say: Callable[[], tuple[str, ...]]) -> None:
        self._worker = worker
        self._say = say
        self._numbers = itertools.count(1)
        self._owners: dict[str, Owner] = {}

    def ids(self) -> tuple[str, ...]:
        """Those that were not lifted."""
        return tuple(self._owners)

    def open(self, harness: Harness, name: str) -> messages.Layer:
        """What the last test wrote late is undone: it is no part of the layer."""
        harness.wider.before_layer()
        number = str(next(self._numbers))
        self._owners[number] = Owner(name)
        return self._told(number, name)

    def lay(self, harness: Harness, number: str) -> messages.Layer:
        """What was committed since the last layer is the baseline now."""
        owner = self._owner(number)
        return self._told(number, owner.name, harness.wider.lay(owner, owner.name))

    def lift(self, harness: Harness, number: str) -> messages.Layer:
        """It goes, and what was begun after it goes first."""
        name = self._owner(number).name
        lifted: dict[str, None] = {}
        for above in [each for each in reversed(self._owners) if int(each) >= int(number)]:
            owner = self._owners.pop(above)
            lifted |= dict.fromkeys(harness.wider.lift(owner, owner.name))
        return self._told(number, name, lifted)

    def _told(self, number: str, name: str, replaced: Iterable[str] = ()) -> messages.Layer:
        return messages.Layer(id=number, name=name, resources=tuple(replaced), notes=self._say())

    def _owner(self, number: str) -> Owner:
        if number not in self._owners:
            raise RequestError(
                404,
                f"worker {self._worker} has no layer {number}",
                cause="it was lifted already, with one below it, or the worker was opened anew",
                fix=f"POST /v1/workers/{self._worker}/layers begins one",
            )
        return self._owners[number]
