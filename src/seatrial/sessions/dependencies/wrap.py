"""A replacement of the app's dependency that runs it, and sees each value before the app does."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Literal

Flavour = Literal["function", "generator", "coroutine", "async generator"]
Adopt = Callable[[Any], Any]
"""Takes what the app's dependency yields or returns, and gives what the app is to have."""


def flavour(dependency: Callable[..., Any]) -> Flavour:
    """Which of the four kinds of dependency this is; an object with `__call__` counts as that method."""
    function = _function(dependency)
    if inspect.isasyncgenfunction(function):
        return "async generator"
    if inspect.iscoroutinefunction(function):
        return "coroutine"
    if inspect.isgeneratorfunction(function):
        return "generator"
    return "function"


def wrap(dependency: Callable[..., Any], adopt: Adopt) -> Callable[..., Any]:
    """A function of the same flavour and signature, that runs `dependency` and passes its values through `adopt`.

    What is thrown into the replacement reaches the dependency's own `except` and `finally`, and what they do
    with it comes out again. If `adopt` raises, the dependency is closed first.
    """
    makers = {"function": _call, "generator": _generate, "coroutine": _await, "async generator": _generate_async}
    replacement = makers[flavour(dependency)](dependency, adopt)
    functools.update_wrapper(replacement, _function(dependency))
    # A frame of ours has other globals: annotations written as strings must be resolved in the app's.
    replacement.__signature__ = signature(dependency)  # type: ignore[attr-defined]  # what `inspect` reads first
    return replacement


def signature(dependency: Callable[..., Any]) -> inspect.Signature:
    """The parameters and the return annotation, resolved where they were written as strings that can be."""
    try:
        return inspect.signature(dependency, eval_str=True)
    except Exception:  # noqa: BLE001  # an annotation may raise anything: it is code of the app's
        return inspect.signature(dependency)


def _function(dependency: Callable[..., Any]) -> Callable[..., Any]:
    plain = dependency
    while isinstance(plain, functools.partial):
        plain = plain.func
    if inspect.isroutine(plain) or inspect.isclass(plain):
        return plain
    method: Callable[..., Any] = type(plain).__call__
    return method


def _call(dependency: Callable[..., Any], adopt: Adopt) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        return adopt(dependency(*args, **kwargs))

    return function


def _await(dependency: Callable[..., Any], adopt: Adopt) -> Callable[..., Any]:
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        return adopt(await dependency(*args, **kwargs))

    return coroutine


def _generate(dependency: Callable[..., Any], adopt: Adopt) -> Callable[..., Any]:
    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from _Adopted(dependency(*args, **kwargs), adopt))

    return generator


class _Adopted(Generator[Any, Any, Any]):
    """A generator whose values are adopted; all else is the inner one's."""

    def __init__(self, inner: Generator[Any, Any, Any], adopt: Adopt) -> None:
        self._inner = inner
        self._adopt = adopt

    def send(self, value: Any, /) -> Any:
        return self._checked(self._inner.send(value))

    def throw(self, *error: Any) -> Any:
        return self._checked(self._inner.throw(*error))

    def close(self) -> None:
        self._inner.close()

    def _checked(self, value: Any) -> Any:
        try:
            return self._adopt(value)
        except BaseException:
            self._inner.close()
            raise


def _generate_async(dependency: Callable[..., Any], adopt: Adopt) -> Callable[..., Any]:
    async def generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = dependency(*args, **kwargs)
        step = inner.__anext__()
        while True:
            try:
                value = await step
            except StopAsyncIteration:
                return
            try:
                adopted = adopt(value)
            except BaseException:
                await inner.aclose()
                raise
            try:
                sent = yield adopted
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is the dependency's to handle
                step = inner.athrow(error)
            else:
                step = inner.asend(sent)

    return generator
