"""Values that are right by themselves and wrong together: within one resource, and between several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from seatrial.config.explain import Findings
from seatrial.config.keys import APP_IN_EXCHANGES, SERVER_KEYS, SQL_KEYS, TAKEN_FIXTURES, Known
from seatrial.config.model import ResourceConfig, ServiceConfig, used_elsewhere
from seatrial.errors import SeatrialError


def within(resource: ResourceConfig, keys: Mapping[str, object], known: Known, findings: Findings) -> None:
    """Mistakes between the keys of one resource."""
    path = ("resources", resource.name)
    if resource.url and resource.at:
        findings.add(
            (*path, "at"),
            "`url` and `at` contradict each other: `url` uses a server that runs, `at` has one started there",
            "keep `url` to use that server, or `at` to have one served at this address",
        )
    if resource.url and resource.provider not in ("", "url"):
        findings.add(
            (*path, "provider"),
            f'`url` and provider = "{resource.provider}" contradict each other',
            "remove `provider` to use the server at `url`, or remove `url` to have one started",
        )
    if resource.provider == "url" and not resource.url:
        variable = f"SEATRIAL_{resource.name.upper()}_URL"
        findings.add(
            (*path, "provider"), 'provider = "url" needs a `url`', f"add `url`, or set {variable} in the environment"
        )
    facts = known.kinds.get(resource.kind)
    if facts is not None and resource.isolation in facts.impossible:
        findings.add(
            (*path, "isolation"),
            f'isolation = "{resource.isolation}" is not possible with kind = "{resource.kind}": '
            f"{facts.impossible[resource.isolation]}",
            'remove `isolation`, or write isolation = "reset"',
        )
    for key in SERVER_KEYS if facts and facts.serverless else ():
        if key in keys:
            findings.add(
                (*path, key),
                f'`{key}` is about a server, and kind = "{resource.kind}" has none',
                f"remove `{key}`, or take a kind with a server",
            )
    for key in () if facts is None or facts.sql else SQL_KEYS:
        if key in keys:
            findings.add(
                (*path, key),
                f'`{key}` is about a database of SQL, and kind = "{resource.kind}" is none',
                "remove it; what a test finds at its start is filled by a `seed`" if key == "schema" else "remove it",
            )


def across(
    resources: Sequence[ResourceConfig], services: Sequence[ServiceConfig], known: Known, findings: Findings
) -> None:
    """Mistakes between resources, and between their fixtures and those of others."""
    _fixtures(resources, services, findings)
    _ports(resources, findings)
    variables: dict[str, str] = {}
    overrides: dict[str, str] = {}
    for resource in resources:
        path = ("resources", resource.name)
        facts = known.kinds.get(resource.kind)
        ours = not used_elsewhere(services, resource.name)
        for variable in (resource.env or ((facts.env,) if facts else ())) if ours else ():
            other = variables.setdefault(variable, resource.name)
            if other != resource.name:
                findings.add(
                    (*path, "env"),
                    f"`{other}` and `{resource.name}` both export {variable}",
                    f'give one of them another variable, as in env = "{resource.name.upper()}_URL"',
                )
        if resource.override:
            other = overrides.setdefault(resource.override, resource.name)
            if other != resource.name:
                findings.add(
                    (*path, "override"),
                    f"`{other}` and `{resource.name}` both override {resource.override}",
                    "name the dependency that yields sessions of this resource, or remove one of the two",
                )


def by_kind(resources: Sequence[ResourceConfig], project: Path, known: Known, findings: Findings) -> None:
    """What only the kind itself can tell: an address that is not its own, an extension that it can't have."""
    for resource in resources:
        facts = known.kinds.get(resource.kind)
        if facts is None or facts.spec is None:
            continue
        from seatrial.resources.protocol import Requirements

        try:
            facts.spec(
                Requirements(
                    project=project,
                    version=resource.version,
                    extensions=resource.extensions,
                    durable=resource.durable,
                    url=resource.url,
                    at=resource.at,
                    options=resource.options,
                )
            )
        except SeatrialError as error:
            key = next(
                (
                    key
                    for key in ("at", "url", "extensions", "version", "durable", *facts.options)
                    if f"`{key}`" in error.what
                ),
                "",
            )
            path = ("resources", resource.name, *([key] if key else []))
            findings.add(path, error.what + (f": {error.cause}" if error.cause else ""), error.fix)


def _fixtures(resources: Sequence[ResourceConfig], services: Sequence[ServiceConfig], findings: Findings) -> None:
    there = set(TAKEN_FIXTURES)
    owners: dict[str, str] = {}
    for resource in resources:
        path = ("resources", resource.name)
        name = resource.name
        fixtures = (name, f"{name}_url", f"{name}_statements", f"seatrial_{name}")
        _taken(path, "resource", [each for each in fixtures if each in TAKEN_FIXTURES], resource.kind or "db", findings)
        there.update(fixtures)
        for fixture in fixtures:
            other = owners.setdefault(fixture.lower(), resource.name)
            if other != resource.name:
                findings.add(
                    path,
                    f"`{other}` and `{resource.name}` both have a fixture or a variable named `{fixture.lower()}`",
                    f"rename [resources.{resource.name}]",
                )

    for service in services:
        path, another = ("services", service.name), f"{service.name}_service"
        both = (service.name, f"seatrial_{service.name}")
        _taken(path, "service", [each for each in both if each in there], another, findings)
        there.update(both)
        if service.name == APP_IN_EXCHANGES:
            findings.add(
                path,
                f"`exchanges` calls the project's own app `{service.name}`, so a service needs another name",
                f"write another name, as in [services.{another}]",
            )


def _taken(path: tuple[str, ...], what: str, taken: Sequence[str], another: str, findings: Findings) -> None:
    for fixture in taken[:1]:
        findings.add(
            path,
            f"the {what} `{path[-1]}` can't have this name: a fixture of pytest's or of ours is called `{fixture}`",
            f"write another name, as in [{what}s.{another}]",
        )


def _ports(resources: Sequence[ResourceConfig], findings: Findings) -> None:
    ports: dict[int, str] = {}
    for resource in resources:
        try:
            port = urlsplit(resource.at).port
        except ValueError:
            continue  # said already
        other = ports.setdefault(port, resource.name) if port else resource.name
        if other != resource.name:
            findings.add(
                ("resources", resource.name, "at"),
                f"`{other}` and `{resource.name}` are both to be served at port {port}",
                "give one of them another port",
            )
