"""From the tables of services to values: what each says, and who needs whom."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seatrial.config import values
from seatrial.config.explain import Findings, describe, instead
from seatrial.config.keys import RUNS, SERVICE
from seatrial.config.model import ResourceConfig, ServiceConfig

Shaped = Callable[[tuple[str, ...], Mapping[str, object], Mapping[str, Any], Findings], dict[str, Any]]


def services(
    tables: Mapping[str, object], resources: Sequence[ResourceConfig], shaped: Shaped, findings: Findings
) -> tuple[ServiceConfig, ...]:
    """The services of the configuration; those with mistakes, and circles of need, are findings."""
    found = []
    for name, keys in tables.items():
        path = ("services", name)
        verdict = values.resource_name(name)
        if verdict is not None:
            findings.add(path, verdict[0].replace("resource", "service"), verdict[1].replace("resources.", "services."))
        if not isinstance(keys, dict):
            findings.add(path, f"services.{name} is {describe(keys)}", f"write a table [services.{name}]")
            continue
        taken = shaped(path, keys, SERVICE, findings)
        _keys(path, taken, findings)
        found.append(_service(name, taken))
    _names(found, resources, findings)
    _order(found, findings)
    return tuple(found)


def _service(name: str, taken: Mapping[str, Any]) -> ServiceConfig:
    run = taken.get("run") or ("process" if "cmd" in taken else "inline")
    return ServiceConfig(**{**taken, "name": name, "run": run})


def _keys(path: tuple[str, ...], taken: Mapping[str, Any], findings: Findings) -> None:
    name = path[-1]
    if ("app" in taken) == ("cmd" in taken):
        findings.add(
            path,
            f"[services.{name}] has {'both `app` and `cmd`' if 'app' in taken else 'neither `app` nor `cmd`'}",
            'write app = "orders.main:app" for one of Python, or cmd = "node orders.js" for any other',
        )
    if "app" in taken:
        verdict = values.import_path("app", taken["app"], example=SERVICE["app"].example, call=True)
        if verdict is not None:
            findings.add((*path, "app"), *verdict)
    _command(path, taken.get("cmd", ""), findings)
    patience = taken.get("patience")
    if patience is not None and not (math.isfinite(patience) and patience > 0):
        findings.add((*path, "patience"), f"patience is {patience:g}", "write seconds, as in patience = 30")
    run = taken.get("run")
    if run is not None and run not in RUNS:
        findings.add((*path, "run"), f'there is no way to run called "{run}"', instead(run, RUNS, of="ways"))
    elif run in ("inline", "thread") and "cmd" in taken:
        findings.add(
            (*path, "run"),
            f'run = "{run}" is for an app of Python, and this is a command',
            'remove `run`, or write run = "process"',
        )
    elif run == "process" and "app" in taken:
        findings.add(
            (*path, "run"),
            'run = "process" needs a command',
            f'write it in the place of `app`, as in cmd = "uvicorn {taken["app"]} --port {{port}}"',
        )
    for variable in taken.get("env", {}):
        verdict = values.variable(variable)
        if verdict is not None:
            findings.add((*path, "env", variable), *verdict)


def _command(path: tuple[str, ...], cmd: str, findings: Findings) -> None:
    """No shell runs it."""
    if not cmd:
        return
    from seatrial.core.children import for_a_shell  # most projects have no command

    try:
        words = shlex.split(cmd)
    except ValueError as error:
        findings.add((*path, "cmd"), f"`{cmd}` is no command: {error}", "close the quotation")
        return
    asks = for_a_shell(words)
    if asks == "operator":
        fix = f'write cmd = """sh -c {shlex.quote(cmd)}""", or have one program do it'
        findings.add((*path, "cmd"), f"`{cmd}` needs a shell, and commands run without one", fix)
    elif asks == "variable":
        findings.add((*path, "cmd"), f"`{cmd}` begins with a variable, as in a shell", "write it into `env`")


def _names(found: Sequence[ServiceConfig], resources: Sequence[ResourceConfig], findings: Findings) -> None:
    """Names that lead nowhere; one variable that two services of this process read, and that differs."""
    known, names = [each.name for each in resources], [each.name for each in found]
    exported: dict[str, tuple[str, str]] = {}
    for service in found:
        path = ("services", service.name)
        for resource in service.resources:
            if resource not in known:
                findings.add((*path, "resources"), f"there is no resource `{resource}`", _instead(resource, known))
        for other in service.needs:
            if other not in names:
                findings.add((*path, "env"), f"{{services.{other}}} is no service", _instead(other, names))
        for variable, text in service.env.items() if service.run != "process" else ():
            owner, before = exported.setdefault(variable, (service.name, text))
            if before != text:
                findings.add(
                    (*path, "env"),
                    f"`{owner}` and `{service.name}` run in one process, and want {variable} to be different things",
                    "give one of them another variable, or a process of its own: `cmd` instead of `app`",
                )


def _order(found: Sequence[ServiceConfig], findings: Findings) -> None:
    if not found:
        return
    from graphlib import CycleError, TopologicalSorter

    try:
        TopologicalSorter({each.name: each.needs for each in found}).prepare()
    except CycleError as circle:
        names = list(reversed(circle.args[1]))
        findings.add(
            ("services", names[0], "env"),
            f"services that need each other: {' needs '.join(names)}",
            "take one of these {services.NAME} away: neither of them could be started first",
        )


def _instead(name: str, known: Sequence[str]) -> str:
    return instead(name, known, of="names") if known else "there are none: write one, or remove this"
