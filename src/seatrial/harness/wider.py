"""Fixtures of wider scope than one test, on all resources of a worker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from seatrial.errors import SeatrialError
from seatrial.harness.resource.managed import Managed


class WiderScope:
    """What they write is the baseline of the tests inside them: a layer on each resource that they write to.

    Args:
        resources: those of the worker, by name.
    """

    def __init__(self, resources: Mapping[str, Managed]) -> None:
        self._resources = resources

    def before_layer(self) -> None:
        """A fixture of wider scope than one test is going to be set up."""
        for managed in self._resources.values():
            managed.before_layer()

    def lay(self, owner: object, name: str) -> tuple[str, ...]:
        """The fixture `owner`, called `name`, is set up: what it wrote is the baseline of the tests inside it.

        Returns the resources that it wrote to.
        """
        return tuple([each for each, managed in self._resources.items() if managed.lay(owner, name)])

    def written(self) -> dict[str, tuple[str, ...]]:
        """By resource, where something is not as in its baseline."""
        return {name: managed.written() for name, managed in self._resources.items()}

    def wrote(self, before: Mapping[str, Sequence[str]], uses: Collection[str]) -> tuple[str, ...]:
        """The resources to which a fixture may have written since `written` was `before`.

        `uses` are those that it asks for: where it can't be told, it has written to these.
        """
        managed = self._resources.items()
        return tuple([name for name, each in managed if each.wrote(before.get(name, ()), asks=name in uses)])

    def abandon(self, owner: object, name: str) -> None:
        """The set-up of the fixture has failed: what it wrote is gone. Raises `IsolationError` where that can't be."""
        self._each(lambda managed: managed.abandon(owner, name))

    def lift(self, owner: object, name: str, *, sweep: bool = True) -> tuple[str, ...]:
        """The fixture is torn down: what it wrote is gone. Raises `IsolationError` where that can't be.

        Args:
            owner: the fixture.
            name: what it is called, for people.
            sweep: whether its tear-down may have written, or, where `lay` was not called, its set-up.

        Returns:
            The resources whose connections that took: those that it had written to.
        """
        return self._each(lambda managed: managed.lift(owner, name, sweep=sweep))

    def _each(self, step: Callable[[Managed], object]) -> tuple[str, ...]:
        """Take a step with each resource, whatever another fails of: the names of those where it did something."""
        done: list[str] = []
        failures: list[SeatrialError] = []
        for name, managed in self._resources.items():
            try:
                if step(managed):
                    done.append(name)
            except SeatrialError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return tuple(done)
