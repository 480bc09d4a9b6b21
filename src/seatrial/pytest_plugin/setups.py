"""Measures what each fixture's set-up takes by itself, by pytest's own hook."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

import pytest

from seatrial.apps.load import interface_of
from seatrial.core.importing import is_installed
from seatrial.report.setups import Setups

OURS = "seatrial"


class SetupWatch:
    """A pytest plugin that tells `Setups`."""

    def __init__(self, setups: Setups) -> None:
        self._setups = setups
        self._inner = [0.0]
        """For each set-up that is under way: seconds of those within it, which it has asked for dynamically."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Count the time of one set-up, without that of the fixtures that it needs."""
        self._inner.append(0.0)
        before = time.perf_counter()
        value: object = None
        try:
            value = yield
        finally:
            seconds = time.perf_counter() - before
            own = seconds - self._inner.pop()
            self._inner[-1] += seconds
            module = fixturedef.func.__module__ or ""
            if module.partition(".")[0] not in (OURS, "_pytest"):
                name = f"{fixturedef.argname} ({_place(fixturedef, request)})"
                self._setups.add(
                    name, fixturedef.scope, own, makes_app=_is_app(value), installed=_is_installed(fixturedef)
                )
        return value

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Count the time of one test as a whole."""
        before = time.perf_counter()
        try:
            return (yield)
        finally:
            self._setups.ran(time.perf_counter() - before)


def _place(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> str:
    code = getattr(fixturedef.func, "__code__", None)
    if code is None:
        return fixturedef.func.__module__
    path = Path(code.co_filename)
    root = request.config.rootpath
    name = path.relative_to(root) if path.is_relative_to(root) else path.name
    return f"{name}:{code.co_firstlineno}"


def _is_installed(fixturedef: pytest.FixtureDef[object]) -> bool:
    code = getattr(fixturedef.func, "__code__", None)
    return code is not None and is_installed(Path(code.co_filename))


def _is_app(value: object) -> bool:
    """Whether a fixture's value is an application: an object of a class, since any function may look like one."""
    try:
        return callable(value) and not callable(getattr(value, "__get__", None)) and interface_of(value) is not None
    except Exception:  # noqa: BLE001 - a proxy raises anything while what it stands for is not there
        return False
