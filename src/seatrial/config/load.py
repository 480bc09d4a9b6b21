"""A project's configuration, from its file, the environment and the command line, checked and frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from seatrial.config.check import check
from seatrial.config.explain import Findings, Problem, as_error, instead
from seatrial.config.explain import Path as KeyPath
from seatrial.config.keys import KindFacts, Known
from seatrial.config.layers import Override, apply, from_environment, from_options
from seatrial.config.model import Config
from seatrial.config.read import lines, prefix, read


def load(
    source: Path,
    *,
    environ: Mapping[str, str],
    options: Mapping[str, str] | None = None,
    known: Known | None = None,
) -> Config:
    """The configuration in the file `source`, with the environment over it and `options` over both.

    Args:
        source: what `find` found.
        environ: the variables of the process; `SEATRIAL_APP`, `SEATRIAL_IDLE` and `SEATRIAL_<NAME>_<KEY>` count.
        options: what the command line sets, such as `{"db.isolation": "clone"}`.
        known: the kinds and providers that are valid; None asks the registry.

    Raises:
        ConfigError: with every mistake of the file, the environment and the options in it.
    """
    config, problems = diagnose(source, environ=environ, options=options, known=known)
    if config is None:
        raise as_error(problems, str(source))
    return config


def diagnose(
    source: Path,
    *,
    environ: Mapping[str, str],
    options: Mapping[str, str] | None = None,
    known: Known | None = None,
) -> tuple[Config | None, tuple[Problem, ...]]:
    """As `load`, but mistakes are returned one by one; only a file that can't be read as TOML is raised."""
    table, text = read(source)
    from_file = table.get("resources")
    names = tuple(from_file) if isinstance(from_file, dict) else ()
    below = tuple(from_environment(environ, table))
    above = tuple(from_options(options or {}))
    above, strange = _of_known_resources(above, names)
    above_file = {override.path: override.origin for override in (*below, *above, *strange)}
    where = partial(_where, origins=above_file, source=source, numbers=lines(source, text))
    findings = Findings(where)
    for override in strange:
        name = override.path[1] if len(override.path) > 1 else ""
        known_names = names or ("db",)
        findings.add(override.path, f"there is no resource `{name}`", instead(name, known_names, of="resources"))
    merged = apply(apply(table, below), above)
    config = check(merged, known=known or from_registry(), findings=findings, source=source.absolute())
    if config is not None:
        config = replace(config, origins={".".join(path): where(path) for path in _paths(merged)})
    return config, findings.problems


def from_registry() -> Known:
    """The kinds and providers that are built in or installed. A kind is imported when it is first asked for."""
    from seatrial.resources import registry

    return Known(kinds=_Installed(registry.kinds()), providers=registry.providers())


class _Installed(Mapping[str, KindFacts]):
    """The facts of the kinds of the registry, by name."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def __getitem__(self, name: str) -> KindFacts:
        if name not in self._names:
            raise KeyError(name)
        from seatrial.resources import registry
        from seatrial.resources.protocol import Serverless, SupportsLimits, SupportsOptions

        kind = registry.kind(name)
        return KindFacts(
            env=kind.env,
            sql=bool(kind.drivers),
            serverless=isinstance(kind, Serverless),
            options=kind.options if isinstance(kind, SupportsOptions) else {},
            impossible=kind.impossible if isinstance(kind, SupportsLimits) else {},
            spec=kind.spec,
        )

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _of_known_resources(
    options: tuple[Override, ...], names: tuple[str, ...]
) -> tuple[tuple[Override, ...], tuple[Override, ...]]:
    """Options that are about the top or a resource of the file, and those that are about none."""

    def fits(option: Override) -> bool:
        return len(option.path) == 1 or (len(option.path) > 2 and option.path[1] in names)  # noqa: PLR2004 (resources, NAME, KEY)

    return tuple(filter(fits, options)), tuple(option for option in options if not fits(option))


def _where(path: KeyPath, *, origins: Mapping[KeyPath, str], source: Path, numbers: Mapping[KeyPath, int]) -> str:
    """The place of a key: a variable, an option, or the file with the line of the key or the table around it."""
    for length in range(len(path), 0, -1):
        if path[:length] in origins:
            return origins[path[:length]]
    full = prefix(source) + path
    for length in range(len(full), 0, -1):
        if full[:length] in numbers:
            return f"{source}:{numbers[full[:length]]}"
    return str(source)


def _paths(table: Mapping[str, Any]) -> Iterator[KeyPath]:
    yield from ((key,) for key in table if key != "resources")
    for name, keys in table.get("resources", {}).items():
        yield from (("resources", name, key) for key in keys)
