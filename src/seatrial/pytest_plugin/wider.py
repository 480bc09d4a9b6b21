"""Fixtures of session, package, module and class scope: what each writes is the baseline of the tests inside it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from functools import partial
from typing import Any

import pytest

from seatrial.harness.harness import Harness
from seatrial.pytest_plugin.plain import plain_errors

CLASS_SET_UP = "_unittest_setUpClass_fixture"
"""How pytest calls the fixture that runs `setUpClass` of unittest's classes."""


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
        fixturedef.addfinalizer(partial(self._lift, fixturedef))
        result = yield
        uses = {name for argument in fixturedef.argnames for name in self._by_fixture.get(argument, ())}
        with plain_errors():
            self._harness.lay(fixturedef, fixturedef.argname, uses)
        return result

    def _lift(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        with plain_errors():
            self._harness.lift(fixturedef)
