"""Fixtures of session, package, module and class scope: what each writes is the baseline of the tests inside it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import pytest

from seatrial.errors import IsolationError, SeatrialError
from seatrial.harness.harness import Harness
from seatrial.pytest_plugin.plain import plain_errors

CLASS_SET_UP = "_unittest_setUpClass_fixture"
"""How pytest calls the fixture that runs `setUpClass` of unittest's classes."""
_XUNIT: Mapping[str, str] = {
    f"{CLASS_SET_UP}_": "setUpClass",
    "_xunit_setup_class_fixture_": "setup_class",
    "_xunit_setup_module_fixture_": "setUpModule",
}
"""How it calls fixtures that are none to people, by what these have written."""


class Tests(Protocol):
    """Who begins and ends tests."""

    def begin(self) -> None:
        """The running test gets what it needs."""
        ...

    def at_end(self, act: Callable[[], None]) -> None:
        """Call `act` when the running test's own fixtures are gone, before it is checked in; last added first."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class _SetUp:
    """The set-up of one fixture, while it is under way."""

    fixturedef: pytest.FixtureDef[Any]
    request: pytest.FixtureRequest
    uses: set[str] = field(default_factory=set)
    """Resources that it asks for, or that what it asks for does."""
    before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What was written before, by resource; empty where that can't matter."""

    @property
    def name(self) -> str:
        """What people call the fixture."""
        return called(self.fixturedef)


class WiderFixtures:
    """Hooks around the set-up and tear-down of each fixture that outlives a test.

    Args:
        by_fixture: our own fixtures, with the resources that each gives.
        enclosed: whether a test shares a transaction with its class, which is begun by the class's set-up.
        tests: who begins and ends tests.
    """

    def __init__(
        self,
        harness: Harness,
        by_fixture: Mapping[str, Collection[str]],
        enclosed: Callable[[pytest.Item], bool],
        tests: Tests,
    ) -> None:
        self._harness = harness
        self._enclosed = enclosed
        self._tests = tests
        self._by_fixture = by_fixture
        self._uses: dict[str, Collection[str]] = dict(by_fixture)
        """By name of a fixture, the project's included, the resources that it uses."""
        self._under_way: list[_SetUp] = []
        self._noted: set[str] = set()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Lay a layer of what the fixture wrote; lift it when the fixture's own tear-down is done."""
        if isinstance(request.node, pytest.Item) or fixturedef.argname in self._by_fixture:
            return (yield)  # whatever its scope, it is gone with its test; `put_first` says when
        item = request._pyfuncitem  # noqa: SLF001 - a request of class scope has no public way to its test
        if fixturedef.argname.startswith(CLASS_SET_UP) and self._enclosed(item):
            self._tests.begin()
        if self._harness.in_test and self._enclosed(item):
            return (yield)  # what a transaction of the class holds is no layer
        this = _SetUp(fixturedef=fixturedef, request=request)
        this.uses.update(name for argument in fixturedef.argnames for name in self._uses.get(argument, ()))
        try:
            with plain_errors():
                self._prepare(this)
        except BaseException as error:
            # As pytest does where a set-up fails; but the next test may try again.
            _remember(this, error)
            fixturedef.finish(_sub(request))
            raise
        # Finalizers run in the opposite order: this one is there before the fixture adds its own.
        lift = _Lift(self._harness, fixturedef)
        fixturedef.addfinalizer(lift)
        without = _finalizers(fixturedef)
        self._under_way.append(this)
        try:
            result = yield
            self._under_way.remove(this)
            with plain_errors():
                self._conclude(this)
        except KeyboardInterrupt:
            raise  # no test follows
        except BaseException as error:
            # What it wrote is gone: the fixture is no use to other tests either.
            _remember(this, error)
            try:
                self._harness.wider.abandon(fixturedef, this.name)
            except SeatrialError as worse:
                error.add_note(str(worse))
            raise
        finally:
            self._forget(this)
            lift.tears_down = without is None or _finalizers(fixturedef) != without
            if lift.tears_down:
                fixturedef.addfinalizer(self._before_tear_down)
        return result

    def _prepare(self, this: _SetUp) -> None:
        if self._harness.in_test or self._under_way:
            this.before = self._harness.wider.written()
        else:
            self._harness.wider.before_layer()

    def _conclude(self, this: _SetUp) -> None:
        """The fixture is set up: what it has written gets a layer, or an end."""
        if self._harness.in_test:
            self._end_with_test(this)
        elif not self._under_way:
            self._harness.wider.lay(this.fixturedef, this.name)
        else:
            wrote = self._harness.wider.wrote(this.before, this.uses)
            for name in wrote:
                if this.before[name]:
                    raise _too_late(this.name, self._under_way[-1].name, this.before[name])
            if wrote:
                self._harness.wider.lay(this.fixturedef, this.name)

    def _end_with_test(self, this: _SetUp) -> None:
        """What it wrote is undone with the running test, so the fixture must end with it, too."""
        wrote = self._harness.wider.wrote(this.before, this.uses)
        if not wrote:
            return
        self._tests.at_end(partial(this.fixturedef.finish, _sub(this.request)))
        if this.name not in self._noted:
            self._noted.add(this.name)
            self._harness.note(
                wrote,
                f"the fixture {this.name} was first requested while a test was running: "
                "what it wrote is undone with that test, so it was torn down with it and is set up again for the next "
                "one that requests it; to set it up once, take it as an argument",
            )

    def _forget(self, this: _SetUp) -> None:
        """Its set-up is over, well or not; who asked for it uses what it uses."""
        if this in self._under_way:
            self._under_way.remove(this)
        self._uses[this.fixturedef.argname] = frozenset(this.uses)
        if self._under_way:
            self._under_way[-1].uses |= this.uses

    def _before_tear_down(self) -> None:
        """What the last test has written late is its own, and not the tear-down's."""
        with plain_errors():
            self._harness.wider.before_layer()


class _Lift:
    """The last finalizer of a fixture."""

    def __init__(self, harness: Harness, fixturedef: pytest.FixtureDef[Any]) -> None:
        self._harness = harness
        self._fixturedef = fixturedef
        self.tears_down = True
        """Whether there are finalizers of its own."""

    def __call__(self) -> None:
        with plain_errors():
            self._harness.wider.lift(self._fixturedef, called(self._fixturedef), sweep=self.tears_down)


def called(fixturedef: pytest.FixtureDef[Any]) -> str:
    """What people call a fixture: "stock", or "setUpClass of TestStock"."""
    for prefix, function in _XUNIT.items():
        if fixturedef.argname.startswith(prefix):
            return f"{function} of {fixturedef.argname[len(prefix) :].rpartition('.')[2]}"
    return fixturedef.argname


def _too_late(inner: str, outer: str, tables: Collection[str]) -> IsolationError:
    return IsolationError(
        f"the fixture {inner} was first requested by {outer}, which had written to {', '.join(tables)} before",
        cause=f"{inner} writes, too, and what {outer} wrote until then can't be told from that",
        fix=f"let {outer} take {inner} as an argument, or request it before it writes",
    )


def _remember(this: _SetUp, error: BaseException) -> None:
    """Whoever asks for the fixture is told the same."""
    this.fixturedef.cached_result = (None, this.fixturedef.cache_key(_sub(this.request)), (error, error.__traceback__))


def _sub(request: pytest.FixtureRequest) -> Any:
    """A SubRequest, which has no public name."""
    return request


def _finalizers(fixturedef: pytest.FixtureDef[Any]) -> int | None:
    """How many there are; None where pytest does not tell: there is no public way to them."""
    found = getattr(fixturedef, "_finalizers", None)
    return len(found) if isinstance(found, list) else None
