"""An app's dependencies, replaced for a test and put back exactly: FastAPI's overrides, Litestar's providers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from seatrial.apps.dependencies.providers import Provided, Replacements, exchange, provided, providers
from seatrial.errors import AppError

NONE: Replacements = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What one app's overrides were."""

    app: Any
    overrides: dict[Any, Any]
    """The very dictionary: an app's own code may hold it too."""
    content: dict[Any, Any]

    def put_back(self) -> None:
        """The same dictionary with the same content, even where a test assigned another one."""
        self.overrides.clear()
        self.overrides.update(self.content)
        self.app.dependency_overrides = self.overrides


Memory = tuple[Remembered | Provided, ...]


def overridable(target: Any) -> tuple[Any, ...]:
    """The apps in `target` that have overrides: itself, what a middleware wraps, what is mounted in it."""
    return tuple(_walk(target, set()))


def remember(target: Any, before: Memory = (), ours: Replacements = NONE) -> Memory:
    """The overrides of now, for `put_back`; without the replacements `ours`, which were made since `before`."""
    beneath = {id(each.app): each.content for each in before if isinstance(each, Remembered)}
    overridden = (
        Remembered(app=app, overrides=app.dependency_overrides, content=_without(ours, app, beneath.get(id(app), {})))
        for app in overridable(target)
    )
    return (*overridden, *provided(providers(target), ours))


def put_back(remembered: Memory) -> None:
    """The overrides of then."""
    for each in remembered:
        each.put_back()


def replace(target: Any, replacements: Replacements) -> None:
    """Add to the overrides of `target`, and of the apps in it. Raises `AppError` where there are none to add to."""
    if not replacements:
        return
    apps = overridable(target)
    if exchange(providers(target), replacements):
        return
    if not apps:
        names = ", ".join(getattr(dependency, "__name__", repr(dependency)) for dependency in replacements)
        raise AppError(
            f"The app, a {type(target).__module__}.{type(target).__qualname__}, can't override {names}.",
            cause="it has no `dependency_overrides`, as a FastAPI app has, and nothing that it wraps or mounts has; "
            "nor does a handler of it depend on that by a provider, as Litestar's do",
            fix="remove `override` from the resource's configuration: the app reaches the test's database by the "
            "exported URL; or let `app` name the FastAPI application itself",
        )
    for app in apps:
        app.dependency_overrides.update(replacements)


def _without(ours: Replacements, app: Any, beneath: dict[Any, Any]) -> dict[Any, Any]:
    content = dict(app.dependency_overrides)
    for dependency, replacement in ours.items():
        if content.get(dependency) is replacement:
            del content[dependency]
            if dependency in beneath:
                content[dependency] = beneath[dependency]
    return content


def _walk(target: Any, seen: set[int]) -> Iterator[Any]:
    if target is None or id(target) in seen:
        return
    seen.add(id(target))
    if isinstance(getattr(target, "dependency_overrides", None), dict):
        yield target
    yield from _walk(getattr(target, "app", None), seen)
    routes = getattr(target, "routes", None)
    for route in routes if isinstance(routes, list | tuple) else ():
        yield from _walk_mounted(route, seen)


def _walk_mounted(route: Any, seen: set[int]) -> Iterator[Any]:
    # A plain route has an `app` too, the wrapped endpoint: only what has routes of its own is an app.
    mounted = getattr(route, "app", None)
    if mounted is not None and getattr(mounted, "routes", None) is not None:
        yield from _walk(mounted, seen)
