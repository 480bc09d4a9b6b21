"""The content of a bucket: listed, compared with how it was, copied from another bucket, removed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

_AT_ONCE = 1000
"""How many objects one request may remove."""
_WORDLESS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What a key may contain, and XML can't: such an object is removed by a request of its own."""
_OF_ONE_ANSWER = ("ResponseMetadata", "LastModified", "ETag", "VersionId", "Expiration")
"""What is other in each answer about equal objects (the ETag where they are encrypted), or belongs to their bucket."""
_TOLD = ("Metadata", "ContentType", "ContentEncoding", "ContentDisposition", "ContentLanguage", "CacheControl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a bucket holds."""

    objects: Mapping[str, tuple[str, int, datetime]]
    """By key: ETag, size, and when it was written, in whole seconds."""
    uploads: frozenset[tuple[str, str]]
    """Uploads in parts that are not complete: key and number."""
    at: datetime = field(compare=False)
    """When it was listed, by the server's clock."""

    def changed(self, before: Listing) -> Iterator[str]:
        """Keys that are new, gone, or other than before."""
        for key in sorted(self.objects.keys() | before.objects.keys()):
            if self.objects.get(key) != before.objects.get(key):
                yield key

    def doubtful(self, before: Listing) -> Iterator[str]:
        """Keys that may have been written again with the same content, in the very second of that listing."""
        for key, told in self.objects.items():
            if told == before.objects.get(key) and told[2] >= before.at.replace(microsecond=0):
                yield key


def look(client: Any, bucket: str) -> Listing:
    """List it."""
    found: dict[str, tuple[str, int, datetime]] = {}
    more: dict[str, str] = {}
    while True:
        page = client.list_objects_v2(Bucket=bucket, **more)
        for one in page.get("Contents", ()):
            found[one["Key"]] = (one["ETag"], one["Size"], one["LastModified"])
        if not page.get("IsTruncated"):
            break
        more = {"ContinuationToken": page["NextContinuationToken"]}
    told = client.list_multipart_uploads(Bucket=bucket).get("Uploads") or ()
    date = page["ResponseMetadata"]["HTTPHeaders"]["date"]
    return Listing(
        objects=found,
        uploads=frozenset((one["Key"], one["UploadId"]) for one in told),
        at=parsedate_to_datetime(date),
    )


def described(client: Any, bucket: str, key: str) -> dict[str, Any]:
    """What is told of an object besides its content."""
    told = client.head_object(Bucket=bucket, Key=key)
    return {name: value for name, value in told.items() if name not in _OF_ONE_ANSWER}


def copy(client: Any, source: str, target: str, keys: Iterable[str]) -> None:
    """Copy these objects, in the server, with what is told of them."""
    for key in keys:
        if key.endswith("/"):
            _copy_folder(client, source, target, key)
        else:
            client.copy_object(Bucket=target, Key=key, CopySource={"Bucket": source, "Key": key})


def _copy_folder(client: Any, source: str, target: str, key: str) -> None:
    """An object that stands for a folder is there for all but SeaweedFS's own copying."""
    found = client.get_object(Bucket=source, Key=key)
    told = {name: found[name] for name in _TOLD if found.get(name)}
    client.put_object(Bucket=target, Key=key, Body=found["Body"].read(), **told)


def remove(client: Any, bucket: str, keys: Iterable[str]) -> None:
    """Remove these objects."""
    waiting = []
    for key in keys:
        if _WORDLESS.search(key):
            client.delete_object(Bucket=bucket, Key=key)
        else:
            waiting.append(key)
    for first in range(0, len(waiting), _AT_ONCE):
        some = [{"Key": key} for key in waiting[first : first + _AT_ONCE]]
        client.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})


def abort(client: Any, bucket: str, uploads: Iterable[tuple[str, str]]) -> None:
    """Give up uploads that are not complete."""
    for key, number in uploads:
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=number)


def drop(client: Any, bucket: str) -> None:
    """Remove the bucket with all that is in it; nothing happens where there is none."""
    from botocore.exceptions import ClientError

    try:
        there = look(client, bucket)
        remove(client, bucket, there.objects)
        abort(client, bucket, there.uploads)
        client.delete_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchBucket", "404"):
            raise
