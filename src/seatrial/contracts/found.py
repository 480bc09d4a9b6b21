"""The OpenAPI documents of an app and of the apps that are mounted in it, as their frameworks tell them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any


def descriptions_of(target: Any) -> list[tuple[str, Mapping[str, Any] | Exception]]:
    """Where each is mounted ("" for the app itself, "/v1"), and its document, or what it raised instead.

    Without its warnings: whether these are errors is decided for tests, not for this.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(_found(target, "", frozenset()))


def _found(target: Any, place: str, around: frozenset[int]) -> Iterator[tuple[str, Mapping[str, Any] | Exception]]:
    """Of `target`, or else of what a middleware around it wraps; and of what is mounted in either, maybe twice."""
    while target is not None and id(target) not in around:
        around |= {id(target)}
        description: Mapping[str, Any] | Exception | None
        try:
            description = _by_fastapi(target) or _by_litestar(target)
        except Exception as error:  # noqa: BLE001 - the app's own words may do anything; others may be compared yet
            description = error
        if description is not None:
            yield place, description
        routes = getattr(target, "routes", None)
        for route in routes if isinstance(routes, list | tuple) else ():
            path = getattr(route, "path", "")
            inner = f"{place}{path}" if isinstance(path, str) else place
            yield from _found(getattr(route, "app", None), inner, around)
        target = None if description is not None else getattr(target, "app", None)


def _by_fastapi(target: Any) -> Mapping[str, Any] | None:
    """FastAPI, and whoever offers the same method."""
    tell = getattr(target, "openapi", None)
    if not callable(tell) or not hasattr(target, "openapi_url"):
        return None
    kept = getattr(target, "openapi_schema", None)
    try:
        found = tell()
    finally:
        if kept is None and hasattr(target, "openapi_schema"):
            target.openapi_schema = None  # what a test adds to the app is to be in the document that it asks for
    return found if isinstance(found, Mapping) else None


def _by_litestar(target: Any) -> Mapping[str, Any] | None:
    if getattr(target, "openapi_config", None) is None or not hasattr(type(target), "openapi_schema"):
        return None
    found: Mapping[str, Any] = target.openapi_schema.to_schema()
    return found
