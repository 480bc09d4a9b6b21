"""The three layers of a configuration: the file, over it the environment, over both the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from seatrial.config.explain import Path
from seatrial.config.keys import RESOURCE, TOP, Shape
from seatrial.errors import ConfigError

_PREFIX = "SEATRIAL_"
_FLAGS: Mapping[str, bool] = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
_DISPLACES: Mapping[str, tuple[str, ...]] = {"url": ("at", "provider"), "at": ("url",), "provider": ("url",)}
"""What a higher layer's key takes the place of, besides the same key: they answer the same question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One value from above the file, and where it came from, in words."""

    path: Path
    value: object
    origin: str


def from_environment(environ: Mapping[str, str], table: Mapping[str, object]) -> Iterator[Override]:
    """What `SEATRIAL_APP`, `SEATRIAL_IDLE` and `SEATRIAL_<NAME>_<KEY>` say; an empty variable says nothing.

    Only resources that the file has are looked for: other variables of this prefix are not configuration.
    """
    names = sorted(_resource_names(table), key=len, reverse=True)
    for variable in sorted(environ):
        text = environ[variable]
        if not variable.startswith(_PREFIX) or not text.strip():
            continue
        path = _variable_path(variable.removeprefix(_PREFIX), names)
        if path is not None:
            yield Override(path=path, value=_value(path, text), origin=f"environment variable {variable}")


def from_options(options: Mapping[str, str]) -> Iterator[Override]:
    """What the command line says: `{"db.isolation": "clone", "app": "app.main:app"}`."""
    for option, text in options.items():
        parts = tuple(part.strip() for part in option.split("."))
        path = parts if len(parts) == 1 or parts[0] == "resources" else ("resources", *parts)
        yield Override(path=path, value=_value(path, text), origin=f"command line option {option}")


def pairs(options: Sequence[str]) -> dict[str, str]:
    """`["db.isolation=clone"]`, as it stands on a command line, as `{"db.isolation": "clone"}`.

    Raises:
        ConfigError: one of them has no "=".
    """
    found: dict[str, str] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"`{option}` sets no key", fix="write KEY=VALUE, as in db.isolation=clone")
        found[key.strip()] = value
    return found


def apply(table: Mapping[str, object], overrides: Sequence[Override]) -> dict[str, object]:
    """The values of the layers below with one layer of `overrides` over them; the given ones are not changed.

    A `url` from above also takes the place of the `at` and `provider` below it, and these of the `url` below.
    """
    merged = dict(table)
    resources = merged.get("resources")
    if isinstance(resources, dict):
        merged["resources"] = {name: dict(keys) if isinstance(keys, dict) else keys for name, keys in resources.items()}
    for override in overrides:
        table_of_key = _table(merged, override)
        for displaced in _displaced(override):
            table_of_key.pop(displaced, None)
    for override in overrides:
        _table(merged, override)[override.path[-1]] = override.value
    return merged


def _table(merged: dict[str, object], override: Override) -> dict[str, object]:
    """The table that holds the key; one that nobody sees where the file has something else in its place."""
    target = merged
    for name in override.path[:-1]:
        below = target.setdefault(name, {})
        if not isinstance(below, dict):
            return {}
        target = below
    return target


def _displaced(override: Override) -> tuple[str, ...]:
    key = override.path[-1]
    if len(override.path) == 1 or (key == "provider" and override.value == "url"):
        return ()
    return _DISPLACES.get(key, ())


def _resource_names(table: Mapping[str, object]) -> tuple[str, ...]:
    resources = table.get("resources")
    return tuple(resources) if isinstance(resources, dict) else ()


def _variable_path(rest: str, names: list[str]) -> Path | None:
    for name in names:
        start = name.upper() + "_"
        if rest.startswith(start) and len(rest) > len(start):
            return ("resources", name, rest.removeprefix(start).lower())
    top = rest.lower()
    return (top,) if top in TOP and top != "resources" else None


def _value(path: Path, text: str) -> object:
    """A string as the value that its key wants; left as it is where it can't be, for the check to tell."""
    known = TOP.get(path[0]) if len(path) == 1 else RESOURCE.get(path[-1])
    shape = known.shape if known else Shape.TEXT
    stripped = text.strip()
    if shape is Shape.FLAG:
        return _FLAGS.get(stripped.lower(), text)
    if shape is Shape.SECONDS:
        try:
            return float(stripped)
        except ValueError:
            return text
    if shape in (Shape.TEXTS, Shape.VARIABLES) and stripped[:1] in ("[", "{"):
        try:
            return tomllib.loads(f"value = {stripped}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text
