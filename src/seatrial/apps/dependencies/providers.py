"""An app's providers, as Litestar calls them: dependencies by name in layers, exchanged for a test and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Replacements = Mapping[Callable[..., Any], Callable[..., Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """What one provider called."""

    provider: Any
    dependency: Any

    def put_back(self) -> None:
        """Let it call that again."""
        self.provider.dependency = self.dependency


def providers(target: Any) -> tuple[Any, ...]:
    """The providers of all handlers of `target` and of what a middleware around it wraps: each once."""
    found: dict[int, Any] = {}
    while target is not None:
        for handler in _handlers(target):
            for provider in handler.resolve_dependencies().values():
                found[id(provider)] = provider
        target = getattr(target, "app", None)
    return tuple(found.values())


def exchange(found: tuple[Any, ...], replacements: Replacements) -> bool:
    """Let the providers that call one of the dependencies call its replacement; whether there was one."""
    exchanged = False
    for provider in found:
        replacement = replacements.get(_function(provider.dependency))
        if replacement is not None:
            provider.dependency = _like(provider.dependency, replacement)
            exchanged = True
    return exchanged


def provided(found: tuple[Any, ...], ours: Replacements) -> Iterator[Provided]:
    """What the providers call now, without the replacements `ours`."""
    originals = {replacement: dependency for dependency, replacement in ours.items()}
    for provider in found:
        original = originals.get(_function(provider.dependency))
        dependency = provider.dependency if original is None else _like(provider.dependency, original)
        yield Provided(provider=provider, dependency=dependency)


def _handlers(target: Any) -> Iterator[Any]:
    routes = getattr(target, "routes", None)
    for route in routes if isinstance(routes, list | tuple) else ():
        several = getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        yield from (handler for handler in several if hasattr(handler, "resolve_dependencies"))


def _function(dependency: Any) -> Any:
    """The function itself, where it is run in a thread."""
    return getattr(dependency, "func", dependency) if _runs_in_thread(dependency) else dependency


def _like(dependency: Any, function: Callable[..., Any]) -> Any:
    return type(dependency)(function) if _runs_in_thread(dependency) else function


def _runs_in_thread(dependency: Any) -> bool:
    return type(dependency).__name__ == "AsyncCallable"
