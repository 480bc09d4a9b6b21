"""A kind under test: what fills it, what an app writes to it, how it is read; and a server of it that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seatrial.resources.protocol import Address, Kind, Requirements, Server, Serverless, ServerSpec, Store, Target
from seatrial.resources.resolve import resolve
from seatrial.resources.serverless import NoServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a conformance run needs to know of a kind."""

    kind: Kind
    project: Path
    """A folder: servers and templates belong to a project."""
    fill: Callable[[Target], None]
    """Makes a baseline that is not empty."""
    write: Callable[[Address], None]
    """What an app does, on a connection of its own: a change that is committed, the same each time."""
    read: Callable[[Address], Any]
    """Everything that an app could see, as a value that can be compared."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the configuration, as a resource's table has them."""
    provider: str = ""
    """Where its server comes from; empty for the first provider that can."""
    capabilities: tuple[type, ...] = ()
    """What it is meant to have, such as `SupportsReset`: checks of one that it lacks would do nothing, without a word.
    """

    @property
    def spec(self) -> ServerSpec:
        """What server is wanted."""
        return self.kind.spec(Requirements.of(project=self.project, **self.keys))

    def reserve(self) -> Server:
        """A server whose address is fixed, and that does not run yet."""
        spec = self.spec
        if isinstance(self.kind, Serverless):
            return NoServer(self.kind.endpoint(spec))
        return resolve(spec, name=self.provider).provider.reserve(spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One worker's server, and its store."""

    sample: Sample
    server: Server
    store: Store
    name: str

    @property
    def address(self) -> Address:
        """Where this worker's copy is, from before the server runs."""
        return self.sample.kind.copy_address(self.server.endpoint, self.sample.spec, self.name)

    @property
    def copy_name(self) -> str:
        """What the copy is called: as its database, where there is a server."""
        return self.address.database if self.address.host else self.name


@contextmanager
def running(sample: Sample, name: str = "conformance") -> Iterator[Bench]:
    """A server that runs, with its store; the copy is dropped and the server let go at the end."""
    server = sample.reserve()
    try:
        server.start()
        store = sample.kind.open(server.endpoint, sample.spec)
        bench = Bench(sample=sample, server=server, store=store, name=name)
        try:
            yield bench
        finally:
            store.drop(bench.copy_name)
            store.close()
    finally:
        server.release()
