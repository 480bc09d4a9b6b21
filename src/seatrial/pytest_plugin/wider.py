"""Fixtures of session, package, module and class scope: what each writes is the baseline of the tests inside it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from typing import Any

import pytest

from seatrial.errors import SeatrialError
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


class WiderFixtures:
    """Hooks around the set-up and tear-down of each fixture that outlives a test.

    Args:
        by_fixture: our own fixtures, with the resources that each gives.
        enclosed: whether a test shares a transaction with its class, which is begun by the class's set-up.
        begin: begins such a test.
    """

    def __init__(
        self,
        harness: Harness,
        by_fixture: Mapping[str, Collection[str]],
        enclosed: Callable[[pytest.Item], bool],
        begin: Callable[[pytest.Item], None],
    ) -> None:
        self._harness = harness
        self._by_fixture = by_fixture
        self._enclosed = enclosed
        self._begin = begin

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Lay a layer of what the fixture wrote; lift it when the fixture's own tear-down is done."""
        if request.scope == "function" or fixturedef.argname in self._by_fixture:
            return (yield)
        item = request._pyfuncitem  # noqa: SLF001 - a request of class scope has no public way to its test
        if fixturedef.argname.startswith(CLASS_SET_UP) and self._enclosed(item):
            self._begin(item)
        if self._harness.in_test and self._enclosed(item):
            return (yield)  # what a transaction of the class holds is no layer
        try:
            with plain_errors():
                self._harness.before_layer()
        except BaseException as error:
            # As pytest does where a set-up fails; but the next test may try again.
            sub: Any = request  # a SubRequest, which has no public name
            fixturedef.cached_result = (None, fixturedef.cache_key(sub), (error, error.__traceback__))
            fixturedef.finish(sub)
            raise
        # Finalizers run in the opposite order: this one is there before the fixture adds its own.
        lift = _Lift(self._harness, fixturedef)
        fixturedef.addfinalizer(lift)
        without = _finalizers(fixturedef)
        try:
            result = yield
            uses = {name for argument in fixturedef.argnames for name in self._by_fixture.get(argument, ())}
            with plain_errors():
                self._harness.lay(fixturedef, called(fixturedef), uses)
        except KeyboardInterrupt:
            raise  # no test follows
        except BaseException as error:
            self._abandon(fixturedef, request, error)
            raise
        finally:
            lift.tears_down = _finalizers(fixturedef) != without or without is None
            if lift.tears_down:
                fixturedef.addfinalizer(self._before_tear_down)
        return result

    def _abandon(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest, error: BaseException
    ) -> None:
        """The set-up has failed, or what it wrote can't be a layer: the fixture is no use to other tests either."""
        sub: Any = request
        fixturedef.cached_result = (None, fixturedef.cache_key(sub), (error, error.__traceback__))
        try:
            self._harness.abandon(fixturedef, called(fixturedef))
        except SeatrialError as worse:
            error.add_note(str(worse))

    def _before_tear_down(self) -> None:
        """What the last test has written late is its own, and not the tear-down's."""
        with plain_errors():
            self._harness.before_layer()


class _Lift:
    """The last finalizer of a fixture."""

    def __init__(self, harness: Harness, fixturedef: pytest.FixtureDef[Any]) -> None:
        self._harness = harness
        self._fixturedef = fixturedef
        self.tears_down = True
        """Whether there are finalizers of its own."""

    def __call__(self) -> None:
        with plain_errors():
            self._harness.lift(self._fixturedef, called(self._fixturedef), sweep=self.tears_down)


def called(fixturedef: pytest.FixtureDef[Any]) -> str:
    """What people call a fixture: "stock", or "setUpClass of TestStock"."""
    for prefix, function in _XUNIT.items():
        if fixturedef.argname.startswith(prefix):
            return f"{function} of {fixturedef.argname[len(prefix) :].rpartition('.')[2]}"
    return fixturedef.argname


def _finalizers(fixturedef: pytest.FixtureDef[Any]) -> int | None:
    """How many there are; None where pytest does not tell: there is no public way to them."""
    found = getattr(fixturedef, "_finalizers", None)
    return len(found) if isinstance(found, list) else None
