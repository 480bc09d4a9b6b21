"""The templates and copies on one S3 server: buckets, each of them noted in a bucket of our own.

Several machines may share the server. S3 has no locks that end with their holder: those of copies are files of this
machine, and what another machine made is left alone for a day.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from seatrial.core import folders, wait
from seatrial.core.locks import FileLock
from seatrial.errors import ConfigError, ProviderError, Refused, TemplateError
from seatrial.resources.kinds.s3 import objects
from seatrial.resources.kinds.s3.connection import client, resource, session
from seatrial.resources.kinds.s3.copy import S3Copy, Template
from seatrial.resources.kinds.s3.notes import OURS, READY, Notes
from seatrial.resources.protocol import Address, Endpoint, Target
from seatrial.resources.sharing.taken import taken

_BUILDING = 600
"""Seconds to wait for another process that builds the same template."""
_FIRST_WRITE = 30
"""Seconds that a server may need from its first answer to its first write."""
_LOST = timedelta(days=1)
"""What another machine made, or did not finish, and nobody has noted again for so long is swept."""
_MOST_KEPT = 10
_MOST_TEMPLATES = 20


class S3Store:
    """Templates and copies of one server. Implements `Store`.

    Args:
        endpoint: the server.
        address: the address of a copy, by its name.
        kept: that of a copy which is kept, by its name: beside those of all others, also where one is fixed.
    """

    def __init__(self, endpoint: Endpoint, address: Callable[[str], Address], kept: Callable[[str], Address]) -> None:
        self.locale = f"{endpoint.kind} {endpoint.version}"
        self._endpoint = endpoint
        self._address = address
        self._kept = kept
        self._session = session()
        self._client: Any = client(endpoint, self._session)
        self._locks = folders.room("s3") / folders.digest(f"{endpoint.admin.host}:{endpoint.admin.port}")
        self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._held: dict[str, FileLock] = {}
        self._notes = Notes(self._client)
        self._ready()
        self._sweep()

    def find(self, key: str) -> bool:
        """Whether a complete template with this key exists. It is then the last to be removed for its age."""
        found = self._template(key)
        if found:
            self._notes.add("template", found)
        return bool(found)

    def build(self, key: str, name: str, fill: Callable[[Target], None]) -> bool:
        """Make the template `key` in the bucket of the copy `name`; False if another process made it meanwhile.

        Two machines may make it at once: each then has its own, and both are complete.
        """
        bucket = self._hold(self._address(name).database)
        lock = self._locks / f"{_prefix(key)}.lock"
        with FileLock(lock, timeout=_BUILDING, purpose="building the same template"):
            if self.find(key):
                return False
            template = _prefix(key) + secrets.token_hex(4)
            self._make(bucket, "copy")
            try:
                fill(Target(address=self._address(name), execute=_refuse, connect=lambda: self._bucket(name)))
                self._make(template, "building")
                objects.copy(self._client, bucket, template, objects.look(self._client, bucket).objects)
                self._notes.add("template", template)
            except BaseException:
                self._remove(template)
                raise
            finally:
                self._remove(bucket)
        self._tidy()
        return True

    def checkout(self, key: str, name: str) -> S3Copy:
        """A fresh copy.

        Raises:
            Refused: its bucket is somebody else's.
            IsolationError: it is in use.
            TemplateError: there is no such template.
        """
        template = self._template(key)
        if not template:
            raise TemplateError(
                f"there is no complete template for {name}",
                cause="somebody has removed it since this run built or found it, as `seatrial clean` does",
                fix="run it again",
            )
        bucket = self._hold(self._address(name).database)
        self._make(bucket, "copy")

        def layer() -> Template:
            above = self._hold(f"seatrial-l-{secrets.token_hex(6)}")
            self._make(above, "layer")
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
        """The copy `name` becomes `kept`, with all that is in it, and outlives the run; `name` is free again.

        Only the ten newest stay, besides those that are kept `forever`.
        """
        address = self._kept(kept)
        self._make(address.database, "building")
        bucket = self._address(name).database
        objects.copy(self._client, bucket, address.database, objects.look(self._client, bucket).objects)
        self._notes.add("lasting" if forever else "kept", address.database)
        self._notes.remove([note for note in self._notes.all("building") if note.bucket == address.database])
        self._remove(bucket)
        for old in self._notes.all("kept")[_MOST_KEPT:]:
            self._remove(old.bucket)
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
                self._client.put_object(Bucket=OURS, Key=READY, Body=b"")
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

    def _hold(self, bucket: str) -> str:
        """This bucket, which is this store's from now on."""
        if bucket not in self._held:
            lock = FileLock(self._locks / f"{bucket}.lock")
            if not lock.try_acquire():
                raise taken(f'bucket "{bucket}"')
            self._held[bucket] = lock
        return bucket

    def _make(self, bucket: str, what: str) -> None:
        """A fresh, empty bucket, in place of one of ours by that name."""
        from botocore.exceptions import ClientError

        self._remove(bucket)
        self._notes.add(what, bucket)
        try:
            self._client.create_bucket(Bucket=bucket)
        except ClientError:  # it may be there, as somebody's whose buckets we can't list: it is not ours by this note
            self._notes.remove([note for note in self._notes.all(what) if note.bucket == bucket])
            raise

    def _remove(self, bucket: str) -> None:
        """Remove one of ours. Raises `Refused` for somebody else's."""
        notes = [note for note in self._notes.all() if note.bucket == bucket]
        if not notes and self._exists(bucket):
            admin = self._endpoint.admin
            raise Refused(
                f'the bucket "{bucket}" at {admin.host}:{admin.port} is not ours',
                cause="Seatrial has not made it, so it may be somebody's real one; nothing was touched",
                fix="remove it yourself, or point `at` or `url` elsewhere",
            )
        if notes:
            objects.drop(self._client, bucket)
            self._notes.remove(notes)

    def _sweep(self) -> None:
        """Remove copies of runs that are gone, and what nobody finished. Of another machine's only their age tells."""
        complete = {note.bucket for note in self._notes.all("template", "kept", "lasting")}
        for note in self._notes.all("copy", "layer", "building"):
            if note.bucket in complete:
                continue
            if not note.here or note.what == "building":
                if note.age > _LOST:
                    self._remove(note.bucket)
                continue
            lock = FileLock(self._locks / f"{note.bucket}.lock")
            if lock.try_acquire():
                self._remove(note.bucket)
                lock.release()

    def _tidy(self) -> None:
        """Remove templates that nobody has used for a day, beyond the newest."""
        for old in self._notes.all("template")[_MOST_TEMPLATES:]:
            if old.age > _LOST:
                self._remove(old.bucket)

    def _template(self, key: str) -> str:
        """The bucket of a complete template; empty where there is none."""
        found = [note.bucket for note in self._notes.all("template") if note.bucket.startswith(_prefix(key))]
        return min(found, default="")

    def _exists(self, bucket: str) -> bool:
        return bucket in {one["Name"] for one in self._client.list_buckets()["Buckets"]}

    def _bucket(self, name: str) -> Any:
        address = self._address(name)
        return resource(address, self._session).Bucket(address.database)


def _prefix(key: str) -> str:
    return f"seatrial-t-{folders.digest(key, 16)}-"


def _refuse(script: str) -> None:
    del script
    raise ConfigError("an s3 resource has no SQL to run", fix='write seed = "tests.seed:load", or a command')
