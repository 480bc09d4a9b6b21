"""One bucket, from first test to last: what a test wrote is removed, what it changed is copied from the template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seatrial.errors import NeedsClone, ServerLost
from seatrial.resources.kinds.s3 import objects
from seatrial.resources.kinds.s3.objects import Listing
from seatrial.resources.protocol import Address, Ended, Undone

_SHOWN = 20
_GONE = ("NoSuchBucket", "NoSuchKey", "404")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What the bucket goes back to."""

    bucket: str
    keys: frozenset[str]


class S3Copy:
    """A bucket. It can reset, clone and take layers.

    Args:
        client: ours; the store's, which closes it.
        address: where apps find the bucket.
        fixture: a new object of boto3's for it.
        template: what it holds at the start of each test.
        layer: a template of the bucket as it is now.
        discard: removes such a template's bucket.
    """

    def __init__(
        self,
        *,
        client: Any,
        address: Address,
        fixture: Callable[[], Any],
        template: Template,
        layer: Callable[[], Template],
        discard: Callable[[str], None],
    ) -> None:
        self.address = address
        self._client = client
        self._fixture = fixture
        self._template = template
        self._layer = layer
        self._discard = discard
        self._below: list[Template] = []
        self._bucket = address.database
        self._seen = self._whole()

    def client(self, *, is_async: bool = False) -> BucketClient:
        """A `Bucket` of boto3's: `upload_file`, `put_object`, `Object(key).get()`; its client is in `meta.client`."""
        del is_async  # boto3 has no other
        return BucketClient(self._fixture())

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """Always empty: S3 does not tell who wrote."""
        del own
        return ()

    def mark(self) -> None:
        """Nothing: what counts is what was listed at the last undo."""

    def undo(self) -> Undone:
        """Remove and copy back what a listing of the bucket shows as changed.

        The cost of the listing grows with the number of objects, that of the rest with what the test wrote. An
        object that was written again with the same content shows by its time; within the second of the last undo
        what is told of it is asked as well.

        Raises:
            NeedsClone: the bucket itself is gone.
        """
        from botocore.exceptions import ClientError

        try:
            now = objects.look(self._client, self._bucket)
            changed = tuple(self._changed(now))
            uploads = now.uploads - self._seen.uploads
            if not changed and not uploads:
                self._seen = replace(self._seen, at=now.at)
                return Undone(path="nothing")
            objects.abort(self._client, self._bucket, uploads)
            objects.remove(self._client, self._bucket, [key for key in changed if key not in self._template.keys])
            objects.copy(
                self._client,
                self._template.bucket,
                self._bucket,
                [key for key in changed if key in self._template.keys],
            )
            left = self._put_back(changed)
        except ClientError as error:
            raise self._stuck(str(error)) from error
        if left:
            raise self._stuck(f"other than it was, or written again meanwhile: {', '.join(left[:_SHOWN])}")
        return Undone(path="copy", tables=changed[:_SHOWN], rows=len(changed))

    def late_writes(self) -> tuple[str, ...]:
        """The keys that differ although the baseline was reached."""
        from botocore.exceptions import ClientError

        try:
            now = objects.look(self._client, self._bucket)
        except ClientError:
            return (self._bucket,)
        uploads = sorted(key for key, _ in now.uploads - self._seen.uploads)
        return (*tuple(self._changed(now))[:_SHOWN], *uploads)

    def renew(self) -> None:
        """A bucket made anew, with every object of the template.

        Raises:
            ServerLost: the template is gone: this server is not the one that had it.
        """
        objects.drop(self._client, self._bucket)
        self._client.create_bucket(Bucket=self._bucket)
        self._seen = self._whole()

    def push(self) -> None:
        """What it holds now is the baseline."""
        # Before it is copied: what is written meanwhile is undone.
        seen = objects.look(self._client, self._bucket)
        layer = self._layer()
        self._below.append(self._template)
        self._template, self._seen = layer, seen

    def pop(self) -> None:
        """What was there before the last `push` is the baseline again, and in the bucket."""
        above, self._template = self._template, self._below.pop()
        self.renew()
        self._discard(above.bucket)

    def close(self) -> None:
        """Nothing: the client is the store's."""

    def changed(self) -> bool:
        """Whether anything is in it that is not in its baseline."""
        return bool(self.late_writes())

    def _changed(self, now: Listing) -> list[str]:
        found = list(now.changed(self._seen))
        here = (self._client, self._bucket)
        there = (self._client, self._template.bucket)
        return found + [
            key
            for key in now.doubtful(self._seen)
            if key in self._template.keys and objects.described(*here, key) != objects.described(*there, key)
        ]

    def _put_back(self, changed: Sequence[str]) -> list[str]:
        """See what is there after the undo, and return what is not as it was. What is written meanwhile is late."""
        then, now = self._seen.objects, objects.look(self._client, self._bucket)
        again = {key: now.objects[key] for key in changed if key in then and key in now.objects}
        alike = {key: told for key, told in again.items() if told[:2] == then[key][:2]}
        self._seen = replace(self._seen, objects={**then, **alike}, at=now.at)
        return [key for key in changed if now.objects.get(key) != self._seen.objects.get(key)]

    def _stuck(self, why: str) -> NeedsClone:
        return NeedsClone(f"the bucket can't be brought back: {why}", fix="nothing: the test after it gets a fresh one")

    def _whole(self) -> Listing:
        from botocore.exceptions import ClientError

        try:
            objects.copy(self._client, self._template.bucket, self._bucket, self._template.keys)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
            raise ServerLost(
                "the bucket's template is gone",
                cause="its server has died, and was started anew for another worker, or somebody has emptied it",
                fix="see its log: a test may have ended it",
            ) from error
        seen = objects.look(self._client, self._bucket)
        ours = {key: told for key, told in seen.objects.items() if key in self._template.keys}
        return replace(seen, objects=ours, uploads=frozenset())


class BucketClient:
    """The value of the fixture: it keeps nothing from one test to the next."""

    def __init__(self, bucket: Any) -> None:
        self.value = bucket

    def settle(self) -> None:
        """Nothing is open."""

    def renew(self) -> None:
        """Nothing to renew: a call opens its connection by itself."""

    replace = renew

    def close(self) -> None:
        """Close its connections."""
        self.value.meta.client.close()
