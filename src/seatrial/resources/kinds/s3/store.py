"""The templates and copies on one S3 server: buckets, each of them named in a bucket of our own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from seatrial.core import folders, wait
from seatrial.core.locks import FileLock
from seatrial.errors import ConfigError, IsolationError, ProviderError, Refused
from seatrial.resources.kinds.s3 import objects
from seatrial.resources.kinds.s3.connection import resource, session
from seatrial.resources.kinds.s3.copy import S3Copy, Template
from seatrial.resources.protocol import Address, Endpoint, Target

OURS = "seatrial-buckets"
"""A bucket with one empty object for each bucket that belongs to us: COPY/NAME, TEMPLATE/NAME, KEPT/NAME."""
_BUILDING = 600
"""Seconds to wait for another process that builds the same template."""
_FIRST_WRITE = 30
"""Seconds that a server may need from its first answer to its first write."""


class S3Store:
    """Templates and copies of one server. Implements `Store`.

    Args:
        endpoint: the server.
        address: the address of a copy, by its name.
    """

    def __init__(self, endpoint: Endpoint, address: Callable[[str], Address]) -> None:
        self.locale = f"{endpoint.kind} {endpoint.version}"
        self._endpoint = endpoint
        self._address = address
        self._session = session()
        self._client: Any = resource(endpoint.admin, self._session).meta.client
        self._locks = folders.cache().path / "s3" / folders.digest(f"{endpoint.admin.host}:{endpoint.admin.port}")
        self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._held: dict[str, FileLock] = {}
        self._ready()
        self._sweep()

    def find(self, key: str) -> bool:
        """Whether a complete template with this key exists."""
        return self._listed("template", _template(key))

    def build(self, key: str, name: str, fill: Callable[[Target], None]) -> bool:
        """Make the template `key` in the bucket of the copy `name`; False if another process made it meanwhile."""
        bucket, template = self._hold(name), _template(key)
        with FileLock(self._locks / f"{template}.lock", timeout=_BUILDING, purpose="building the same template"):
            if self.find(key):
                return False
            self._make(bucket, "copy")
            try:
                fill(Target(address=self._address(name), execute=_refuse, connect=lambda: self._bucket(name)))
                self._make(template, "building")
                objects.copy(self._client, bucket, template, objects.look(self._client, bucket).objects)
                self._note("template", template)
            except BaseException:
                self._remove(template)
                raise
            finally:
                self._remove(bucket)
        return True

    def checkout(self, key: str, name: str) -> S3Copy:
        """A fresh copy. Raises `Refused` where its bucket is somebody else's, `IsolationError` where it is in use."""
        bucket = self._hold(name)
        self._make(bucket, "copy")
        template = _template(key)

        def layer() -> Template:
            above = f"seatrial-l-{secrets.token_hex(6)}"
            self._make(above, "copy")
            objects.copy(self._client, bucket, above, objects.look(self._client, bucket).objects)
            return Template(bucket=above, keys=frozenset(objects.look(self._client, above).objects))

        return S3Copy(
            client=self._client,
            address=self._address(name),
            fixture=lambda: self._bucket(name),
            template=Template(bucket=template, keys=frozenset(objects.look(self._client, template).objects)),
            layer=layer,
            discard=self._remove,
        )

    def keep(self, name: str, kept: str, *, forever: bool = False) -> Address:
        """The copy `name` becomes `kept`, with all that is in it, and outlives the run; `name` is free again."""
        address = self._address(kept)
        self._make(address.database, "lasting" if forever else "kept")
        bucket = self._address(name).database
        objects.copy(self._client, bucket, address.database, objects.look(self._client, bucket).objects)
        self._remove(bucket)
        return address

    def drop(self, name: str) -> None:
        """Remove the copy `name`."""
        self._remove(self._address(name).database)

    def close(self) -> None:
        """Give back what we hold. Copies that were not dropped are swept by the next run."""
        for lock in self._held.values():
            lock.release()
        self._held.clear()
        self._client.close()

    def _ready(self) -> None:
        """Have our bucket, and in it a first object: a server may answer before it can write."""
        from botocore.exceptions import BotoCoreError, ClientError

        refused: list[Exception] = []

        def written() -> bool:
            try:
                if not self._exists(OURS):
                    self._client.create_bucket(Bucket=OURS)
                self._client.put_object(Bucket=OURS, Key="ready", Body=b"")
            except (BotoCoreError, ClientError) as error:
                refused.append(error)
                return False
            return True

        if not wait.until(written, timeout=_FIRST_WRITE if self._endpoint.owned else 0, every=0.02):
            admin = self._endpoint.admin
            raise ProviderError(
                f"nothing can be written to the S3 server at {admin.host}:{admin.port}",
                cause=str(refused[-1]),
                fix="see its log; the key of a `url` must be allowed to make buckets",
            )

    def _hold(self, name: str) -> str:
        """The bucket of this copy, which is this store's from now on."""
        bucket = self._address(name).database
        if bucket not in self._held:
            lock = FileLock(self._locks / f"{bucket}.lock")
            if not lock.try_acquire():
                raise IsolationError(
                    f'another run of this project is using the bucket "{bucket}"',
                    cause="two runs at once take different names, except where `at` fixes one",
                    fix="wait for the other run to end",
                )
            self._held[bucket] = lock
        return bucket

    def _make(self, bucket: str, what: str) -> None:
        """A fresh, empty bucket, in place of one of ours by that name."""
        self._remove(bucket)
        self._note(what, bucket)
        self._client.create_bucket(Bucket=bucket)

    def _remove(self, bucket: str) -> None:
        """Remove one of ours. Raises `Refused` for somebody else's."""
        whats = [key.partition("/")[0] for key in self._list() if key.partition("/")[2] == bucket]
        if not whats and self._exists(bucket):
            admin = self._endpoint.admin
            raise Refused(
                f'the bucket "{bucket}" at {admin.host}:{admin.port} is not ours',
                cause="Seatrial has not made it, so it may be somebody's real one; nothing was touched",
                fix="remove it yourself, or point `at` or `url` elsewhere",
            )
        if whats:
            objects.drop(self._client, bucket)
            objects.remove(self._client, OURS, [f"{what}/{bucket}" for what in whats])

    def _sweep(self) -> None:
        """Remove copies of runs that are gone: nobody holds their lock."""
        for key in self._list():
            what, _, bucket = key.partition("/")
            lock = FileLock(self._locks / f"{bucket}.lock")
            if what == "copy" and lock.try_acquire():
                self._remove(bucket)
                lock.release()

    def _list(self) -> list[str]:
        return list(objects.look(self._client, OURS).objects)

    def _listed(self, what: str, bucket: str) -> bool:
        return f"{what}/{bucket}" in self._list()

    def _note(self, what: str, bucket: str) -> None:
        self._client.put_object(Bucket=OURS, Key=f"{what}/{bucket}", Body=b"")

    def _exists(self, bucket: str) -> bool:
        return bucket in {one["Name"] for one in self._client.list_buckets()["Buckets"]}

    def _bucket(self, name: str) -> Any:
        address = self._address(name)
        return resource(address, self._session).Bucket(address.database)


def _template(key: str) -> str:
    return f"seatrial-t-{folders.digest(key, 16)}"


def _refuse(script: str) -> None:
    del script
    raise ConfigError("an s3 resource has no SQL to run", fix='write seed = "tests.seed:load", or a command')
