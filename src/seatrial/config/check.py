"""From plain values to a `Config`: every mistake on the way is collected, none is thrown."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from seatrial.config import values
from seatrial.config.explain import Findings, describe, instead
from seatrial.config.explain import Path as KeyPath
from seatrial.config.keys import (
    ADAPT,
    RESOURCE,
    STARTS,
    STRICT,
    TOP,
    Key,
    Known,
    Shape,
)
from seatrial.config.model import ISOLATIONS, Config, ResourceConfig
from seatrial.config.services.check import services


def check(table: Mapping[str, object], *, known: Known, findings: Findings, source: Path) -> Config | None:
    """The configuration that `table` describes, or None where `findings` has something to say about it."""
    from seatrial.config.contradictions import across, by_kind, within

    top = _shaped((), table, TOP, findings)
    if "app" in top:
        _judge(findings, ("app",), values.import_path("app", top["app"], example=TOP["app"].example, call=True))
    idle = top.get("idle")
    if idle is not None and not (math.isfinite(idle) and idle >= 0):
        findings.add(("idle",), f"idle is {idle}", "write seconds from 0 on, as in idle = 5")
    for key, words in (("strict", STRICT), ("adapt", ADAPT)):
        _listed(key, top.get(key, ()), words, findings)
    resources = []
    for name, keys in top.get("resources", {}).items():
        resource = _resource(name, keys, known, findings)
        if resource is not None:
            within(resource, keys, known, findings)
            resources.append(resource)
    found = services(top.get("services", {}), resources, _shaped, findings)
    across(resources, found, known, findings)
    if not findings.problems:
        by_kind(resources, source.parent, known, findings)
    if findings.problems:
        return None
    return Config(
        root=source.parent,
        source=source,
        app=top.get("app", "").strip(),
        adapt=top.get("adapt", ()),
        strict=top.get("strict", ()),
        allow_hosts=top.get("allow_hosts", ()),
        resources=tuple(resources),
        services=found,
        fast_password_hashing=top.get("fast_password_hashing", False),
        idle=None if idle is None else float(idle),
    )


def _listed(key: str, given: Iterable[str], words: Iterable[str], findings: Findings) -> None:
    """Each value of a list must be one of the words."""
    for value in given:
        if value in words:
            continue
        parts = [part.strip() for part in value.split(",")]
        fix = f"write a list: {json.dumps(parts)}" if set(parts) <= set(words) else instead(value, words, of="words")
        findings.add((key,), f'{key} has "{value}", which is not known', fix)


def _resource(name: str, keys: object, known: Known, findings: Findings) -> ResourceConfig | None:
    path = ("resources", name)
    _judge(findings, path, values.resource_name(name))
    if not isinstance(keys, dict):
        findings.add(path, f"resources.{name} is {describe(keys)}", f"write a table [resources.{name}]")
        return None
    facts = known.kinds.get(str(keys.get("kind", "")))
    own = facts.options if facts else {}
    of_kind = {key: Key(shape=Shape.OPTION, example=f"{key} = {_written(value)}") for key, value in own.items()}
    strays = _of_other_kinds(path, keys, known, findings)
    keys = {key: value for key, value in keys.items() if key not in strays}
    taken = _shaped(path, keys, {**RESOURCE, **of_kind}, findings)
    options = {key: taken.pop(key) for key in own if key in taken}
    if "kind" not in keys:
        findings.add(path, f"[resources.{name}] has no kind", 'write what it is, as in kind = "postgres"')
    _names(path, taken, known, findings)
    if "version" in taken:
        taken["version"] = values.plain_version(taken["version"])
    if "at" in taken and not (facts and facts.serverless):
        _judge(findings, (*path, "at"), values.at(taken["at"], database=not facts or facts.sql))
    for key, judge in _JUDGES.items():
        if key in taken:
            _judge(findings, (*path, key), judge(taken[key]))
    for variable, template in taken.get("env", {}).items():
        where = (*path, "env", variable)
        _judge(findings, where, values.variable(variable) or values.template(variable, template))
    return ResourceConfig(**{"kind": "", **taken, "name": name, "options": options})


def _of_other_kinds(path: KeyPath, keys: Mapping[str, object], known: Known, findings: Findings) -> set[str]:
    """The keys that another kind has, and this one has not; each is a finding."""
    kind = str(keys.get("kind", ""))
    strays = {key for key in keys if key not in RESOURCE and kind in known.kinds}
    strays -= set(known.kinds[kind].options) if strays else set()
    for key in sorted(strays):
        owners = [name for name in known.kinds if key in known.kinds[name].options]
        if not owners:
            strays.remove(key)
            continue
        findings.add(
            (*path, key), f"a {kind} resource has no `{key}`", f"remove it: it is a key of {', '.join(owners)}"
        )
    return strays


_JUDGES: Mapping[str, Callable[[str], values.Verdict]] = {
    "url": values.url,
    "version": values.version,
    "override": lambda value: values.import_path("override", value, example=RESOURCE["override"].example, call=False),
}


def _names(path: KeyPath, taken: Mapping[str, Any], known: Known, findings: Findings) -> None:
    """Values that must be one of a list."""
    choices: tuple[tuple[str, Iterable[str]], ...] = (
        ("kind", known.kinds),
        ("provider", known.providers),
        ("isolation", ISOLATIONS),
        ("start", STARTS),
    )
    for key, valid in choices:
        value = taken.get(key)
        if value is not None and value not in valid:
            findings.add((*path, key), f'there is no {key} "{value}"', instead(value, valid, of=f"{key}s"))


def _shaped(path: KeyPath, table: Mapping[str, object], keys: Mapping[str, Key], findings: Findings) -> dict[str, Any]:
    """The values of `table` that have the shape which their key asks for; all others are findings."""
    taken: dict[str, Any] = {}
    place = f" in [{'.'.join(path)}]" if path else ""
    for name, value in table.items():
        here = (*path, name)
        if name not in keys:
            findings.add(here, f"unknown key `{name}`{place}", instead(name, keys, of="keys"))
        else:
            key = keys[name]
            shaped = _SHAPES[key.shape](value)
            if shaped is None:
                wanted = f"{name} must be {key.shape.value}, and is {describe(value)}"
                findings.add(here, wanted, f"write it as in {key.example}")
            elif shaped in ("", (), {}) and key.shape is not Shape.TABLES:
                out = "" if key.required else "leave the key out, or "
                findings.add(here, f"{name} is empty", f"{out}write it as in {key.example}")
            else:
                taken[name] = shaped
    return taken


def _text(value: object) -> str | None:
    if not isinstance(value, str) or "\x00" in value:
        return None
    return value.strip()


def _option(value: object) -> str | None:
    """The value of a key of one kind's own, which is a text to it."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else _text(value)


def _written(text: str) -> str:
    return text if text.isdigit() else f'"{text}"'


def _texts(value: object) -> tuple[str, ...] | None:
    many = value if isinstance(value, list) else [value]
    texts = tuple(_text(one) for one in many)
    return None if any(not text for text in texts) and texts != ("",) else tuple(text for text in texts if text)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _tables(value: object) -> dict[str, object] | None:
    return value if isinstance(value, dict) else None


def _templates(value: object) -> dict[str, str] | None:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        return None
    return {str(name): str(text) for name, text in value.items()}


_SHAPES: Mapping[Shape, Callable[[object], Any]] = {
    Shape.TEXT: _text,
    Shape.OPTION: _option,
    Shape.TEXTS: _texts,
    Shape.FLAG: _flag,
    Shape.SECONDS: _seconds,
    Shape.VARIABLES: values.variables,
    Shape.TEMPLATES: _templates,
    Shape.TABLES: _tables,
}


def _judge(findings: Findings, path: KeyPath, verdict: values.Verdict) -> None:
    if verdict is not None:
        findings.add(path, *verdict)
