"""Which buckets of a server are ours, and what for: one empty object for each, in a bucket that is ours as well."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from seatrial.core import folders, processes
from seatrial.resources.kinds.s3 import objects

OURS = "seatrial-buckets"
READY = "ready"
"""An object of it that is no note: the first that was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What one bucket of ours is."""

    what: str
    """"copy", "layer", "building", "template", "kept" or "lasting"."""
    bucket: str
    here: bool
    """Whether this machine made it: its lock tells whether somebody still uses it."""
    age: timedelta
    """Since it was last noted, by the server's clock."""
    key: str


class Notes:
    """All notes of one server. What is written is what other machines read: nothing is remembered."""

    def __init__(self, client: Any) -> None:
        self._client = client
        # Locks are files of this cache, and of this boot of this machine. Two containers on one machine may agree in
        # all of that, and have folders of their own behind the same path.
        store = folders.cache().path
        folder = store.stat()
        where = f"{platform.node()} {processes.boot()} {store} {folder.st_dev} {folder.st_ino}"
        self._machine = folders.digest(where, 16)

    def all(self, *whats: str) -> list[Note]:
        """Those that say one of these, or all; the last noted first."""
        now = objects.look(self._client, OURS)
        found = []
        for key, (_, _, written) in now.objects.items():
            what, _, rest = key.partition("/")
            bucket, _, machine = rest.partition("/")
            if bucket and (not whats or what in whats):
                here = machine == self._machine
                found.append(Note(what=what, bucket=bucket, here=here, age=now.at - written, key=key))
        return sorted(found, key=lambda note: (note.age, note.bucket))

    def add(self, what: str, bucket: str) -> None:
        """Note it, or note it again."""
        self._client.put_object(Bucket=OURS, Key=f"{what}/{bucket}/{self._machine}", Body=b"")

    def remove(self, notes: list[Note]) -> None:
        """Forget them."""
        objects.remove(self._client, OURS, [note.key for note in notes])
