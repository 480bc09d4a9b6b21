"""The replacement of a dependency runs the app's own, and is like it in all that a framework can see."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Annotated, Any

import pytest

from seatrial.sessions.dependencies.wrap import flavour, wrap


class Own(Exception):
    pass


def adopted(value: Any) -> Any:
    return ("adopted", value)


def refuse(value: Any) -> Any:
    raise RuntimeError("refused")


def function(tenant: str = "a") -> str:
    return tenant


async def coroutine(tenant: str = "a") -> str:
    return tenant


class Callable:
    def __call__(self, tenant: str = "a") -> Iterator[str]:
        yield tenant


def generator(log: list[str]) -> Iterator[str]:
    log.append("open")
    try:
        yield "session"
        log.append("commit")
    except Own:
        log.append("rollback")
        raise
    finally:
        log.append("close")


async def async_generator(log: list[str]) -> AsyncIterator[str]:
    log.append("open")
    try:
        yield "session"
        log.append("commit")
    except Own:
        log.append("rollback")
        raise
    finally:
        log.append("close")


@pytest.mark.parametrize("dependency", [function, coroutine, generator, async_generator, Callable()])
def test_flavour_and_signature_are_the_apps(dependency: Any) -> None:
    replacement = wrap(dependency, adopted)
    assert flavour(replacement) == flavour(dependency)
    assert list(inspect.signature(replacement).parameters) == list(inspect.signature(dependency).parameters)


def test_annotations_written_as_strings_are_resolved_in_the_apps_module() -> None:
    def get_db(tenant: Annotated[Own, "a mark"]) -> None: ...

    assert inspect.signature(wrap(get_db, adopted)).parameters["tenant"].annotation == Annotated[Own, "a mark"]


def test_annotations_that_can_not_be_resolved_stay_as_they_were_written() -> None:
    def get_db(tenant: OnlyForTheTypeChecker) -> None: ...  # noqa: F821 - so it is in the app

    assert inspect.signature(wrap(get_db, adopted)).parameters["tenant"].annotation == "OnlyForTheTypeChecker"


def test_values_are_adopted() -> None:
    assert wrap(function, adopted)(tenant="b") == ("adopted", "b")
    assert asyncio.run(wrap(coroutine, adopted)(tenant="b")) == ("adopted", "b")
    assert list(wrap(Callable(), adopted)("b")) == [("adopted", "b")]


def test_a_generator_goes_on_after_the_request() -> None:
    log: list[str] = []
    running = wrap(generator, adopted)(log)
    assert next(running) == ("adopted", "session")
    with pytest.raises(StopIteration):
        next(running)
    assert log == ["open", "commit", "close"]


def test_what_is_thrown_reaches_the_dependencys_own_except() -> None:
    log: list[str] = []
    running = wrap(generator, adopted)(log)
    next(running)
    error = Own()
    with pytest.raises(Own) as raised:
        running.throw(error)
    assert raised.value is error
    assert log == ["open", "rollback", "close"]


def test_closing_closes() -> None:
    log: list[str] = []
    running = wrap(generator, adopted)(log)
    next(running)
    running.close()
    assert log == ["open", "close"]


def test_a_value_that_is_refused_closes_the_dependency() -> None:
    log: list[str] = []
    with pytest.raises(RuntimeError, match="refused"):
        next(wrap(generator, refuse)(log))
    assert log == ["open", "close"]


def test_an_async_generator_goes_on_after_the_request() -> None:
    async def request() -> list[str]:
        log: list[str] = []
        assert [value async for value in wrap(async_generator, adopted)(log)] == [("adopted", "session")]
        return log

    assert asyncio.run(request()) == ["open", "commit", "close"]


def test_what_is_thrown_reaches_the_async_dependencys_own_except() -> None:
    async def request() -> list[str]:
        log: list[str] = []
        running = wrap(async_generator, adopted)(log)
        await anext(running)
        error = Own()
        with pytest.raises(Own) as raised:
            await running.athrow(error)
        assert raised.value is error
        return log

    assert asyncio.run(request()) == ["open", "rollback", "close"]


def test_an_async_value_that_is_refused_closes_the_dependency() -> None:
    async def request() -> list[str]:
        log: list[str] = []
        with pytest.raises(RuntimeError, match="refused"):
            await anext(wrap(async_generator, refuse)(log))
        return [*log]

    assert asyncio.run(request()) == ["open", "close"]


def test_closing_closes_the_async_dependency_at_once() -> None:
    async def request() -> list[str]:
        log: list[str] = []
        running = wrap(async_generator, adopted)(log)
        await anext(running)
        await running.aclose()
        return [*log]

    assert asyncio.run(request()) == ["open", "close"]


def test_an_error_that_the_dependency_swallows_stays_swallowed() -> None:
    async def swallowing() -> AsyncIterator[int]:
        with suppress(Own):
            yield 1

    async def request() -> None:
        running = wrap(swallowing, adopted)()
        await anext(running)
        with pytest.raises(StopAsyncIteration):
            await running.athrow(Own())

    asyncio.run(request())
