"""Kinds and providers by name: ours, and those that other packages bring as entry points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib.metadata import EntryPoint, EntryPoints, PackageNotFoundError, distribution, entry_points
from typing import Any, overload

from seatrial.errors import ConfigError
from seatrial.resources.protocol import Kind, Provider

ORDER = ("embedded", "binary", "container", "url")
"""Our providers, in the order in which they are asked; those of other packages come after them."""


def kinds() -> Sequence[str]:
    """The names of all kinds that are installed."""
    return _Names("seatrial.kinds", ())


def kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        ConfigError: there is none; with the nearest name.
    """
    found: Kind = _load("seatrial.kinds", "kind", name)()
    return found


def providers() -> Sequence[str]:
    """The names of all providers that are installed, in the order in which they are asked."""
    return _Names("seatrial.providers", ORDER)


def provider(name: str) -> Provider:
    """The provider of that name.

    Raises:
        ConfigError: there is none; with the nearest name.
    """
    found: Provider = _load("seatrial.providers", "provider", name)()
    return found


def nearest(what: str, name: str, known: Sequence[str]) -> ConfigError:
    """The error for a name that does not exist."""
    close = get_close_matches(name.lower(), known, n=1)
    return ConfigError(
        f'there is no {what} "{name}"',
        cause=f"installed are: {', '.join(known) or 'none'}",
        fix=f'write {what} = "{close[0]}"' if close else "take one of them, or install the package that brings it",
    )


class _Names(Sequence[str]):
    """Names of one group of entry points. Other packages are looked at only where ours do not do: it takes long."""

    def __init__(self, group: str, first: tuple[str, ...]) -> None:
        self._group = group
        own = _own(group).names
        self._first = tuple(name for name in first if name in own)
        self._found: list[str] = []

    def __contains__(self, name: object) -> bool:
        return name in _own(self._group).names or name in self._all()

    def __iter__(self) -> Iterator[str]:
        yield from self._first
        yield from self._all()[len(self._first) :]

    def __len__(self) -> int:
        return len(self._all())

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self._all()[index]

    def _all(self) -> list[str]:
        if not self._found:
            names = {point.name for point in entry_points(group=self._group)}
            self._found = [*self._first, *sorted(names - set(self._first))]
        return self._found


def _own(group: str) -> EntryPoints:
    """Those of our own distribution: one file is read, where all packages together have hundreds."""
    try:
        return distribution("seatrial").entry_points.select(group=group)
    except PackageNotFoundError:
        return EntryPoints()


def _load(group: str, what: str, name: str) -> Any:
    for found in (_own, _installed):
        points = {point.name: point for point in found(group)}
        if name in points:
            return _loaded(points[name], what)
    raise nearest(what, name, sorted(points))


def _installed(group: str) -> EntryPoints:
    return entry_points(group=group)


def _loaded(point: EntryPoint, what: str) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f'the {what} "{point.name}" can\'t be loaded from {point.value}',
            cause=f"{type(error).__name__}: {error}",
            fix="install the package that it needs, or a version of it that fits ours",
        ) from error
