"""What an adapter asks for: a server of its own, at an address of ours, for the time that the suite holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a suite asked its container or server for."""

    kind: str
    scheme: str
    """Of the kind's URLs: "postgresql"."""
    user: str
    password: str
    database: str


class Loan(Protocol):
    """A server that runs until it is given back."""

    host: str
    port: int

    def run(self, sql: str, database: str) -> None:
        """Run a statement there, as a container's own client would have."""
        ...

    def log(self) -> str:
        """The end of the server's log."""
        ...

    def close(self) -> None:
        """Give it back; nothing of it stays. Calling it again does nothing."""
        ...


Lend = Callable[[Wanted], Loan]
"""Raises `ProviderError` where no such server can be had."""


class Watch(Protocol):
    """Calls back when a module has been imported, between `install` and `remove`."""

    def install(self) -> None: ...

    def remove(self) -> None: ...


WhenImported = Callable[[str, Callable[[ModuleType], None]], Watch]
"""Makes a `Watch` for one module."""
