"""What a project's configuration says, checked and frozen: the keys of `[tool.seatrial]`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

ISOLATIONS = ("reset", "rollback", "clone", "auto")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceConfig:
    """One `[tool.seatrial.resources.NAME]`."""

    name: str
    kind: str
    version: str = ""
    provider: str = ""
    """Empty takes the first that can."""
    url: str = field(default="", repr=False)
    at: str = field(default="", repr=False)
    env: Mapping[str, str] = field(default_factory=dict)
    """Variable -> template, "{url}" where only a name was given; empty takes the kind's own variable."""
    role: str = ""
    schema: tuple[str, ...] = ()
    seed: tuple[str, ...] = ()
    override: str = ""
    isolation: str = "reset"
    extensions: tuple[str, ...] = ()
    durable: bool = False
    inputs: tuple[str, ...] = ()
    start: str = "lazy"
    recycle: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    """Keys of the kind's own."""

    def table(self) -> dict[str, Any]:
        """The keys that say the same, as a file has them; those with their default are left out."""
        default = ResourceConfig(name=self.name, kind="")
        values = {key.name: getattr(self, key.name) for key in fields(self) if key.name not in ("name", "options")}
        written = {key: _plain(value) for key, value in values.items() if value != getattr(default, key)}
        return {**written, **self.options}


_SERVICE = re.compile(r"\{services\.(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """One `[tool.seatrial.services.NAME]`."""

    name: str
    app: str = ""
    cmd: str = ""
    run: str = "inline"
    ready: str = "tcp"
    patience: float = 30.0
    """Seconds that a process may take to get ready."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variable -> text, in which {services.NAME} is the URL of another service."""
    resources: tuple[str, ...] = ()
    """Empty means all."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The services that its `env` points at."""
        return tuple(dict.fromkeys(name for text in self.env.values() for name in _SERVICE.findall(text)))

    def variables(self, urls: Mapping[str, str]) -> dict[str, str]:
        """Its variables, with the URLs of the other services filled in."""
        return {name: _SERVICE.sub(lambda found: urls[found[1]], text) for name, text in self.env.items()}

    def table(self) -> dict[str, Any]:
        """The keys that say the same, as a file has them; those with their default are left out."""
        run = "process" if self.cmd else "inline"
        default = ServiceConfig(name=self.name, run=run)
        values = {key.name: getattr(self, key.name) for key in fields(self) if key.name != "name"}
        return {key: _plain(value) for key, value in values.items() if value != getattr(default, key)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration of one project."""

    root: Path
    """The folder of the file it came from; relative paths are relative to it."""
    source: Path
    """The file it came from."""
    app: str = ""
    resources: tuple[ResourceConfig, ...] = ()
    services: tuple[ServiceConfig, ...] = ()
    adapt: tuple[str, ...] = ()
    """Tools whose containers and servers are answered by ours: "testcontainers"."""
    strict: tuple[str, ...] = ()
    """What fails a test instead of being listed: "openapi", "outbound"."""
    allow_hosts: tuple[str, ...] = ()
    """Hosts beyond this machine that tests may connect to."""
    fast_password_hashing: bool = False
    idle: float | None = None
    """Seconds that a server stays up after its last lease; None for the default."""
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Where each key was set: {"resources.db.schema": "/srv/shop/pyproject.toml:12"}, or a variable, or an option."""

    def table(self) -> dict[str, Any]:
        """The keys that say the same, as a file has them; those with their default are left out."""
        table: dict[str, Any] = {"app": self.app} if self.app else {}
        table |= {key: list(value) for key in ("adapt", "strict", "allow_hosts") if (value := getattr(self, key))}
        if self.fast_password_hashing:
            table["fast_password_hashing"] = True
        if self.idle is not None:
            table["idle"] = self.idle
        if self.resources:
            table["resources"] = {resource.name: resource.table() for resource in self.resources}
        if self.services:
            table["services"] = {service.name: service.table() for service in self.services}
        return table


def used_elsewhere(services: Iterable[ServiceConfig], resource: str) -> bool:
    """Whether only services in processes of their own name a resource: its variables are then theirs, not ours."""
    users = [service for service in services if resource in service.resources]
    return bool(users) and all(service.run == "process" for service in users)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
