"""Whether a bucket equals its baseline, told by reading all of it, on a path that the undo does not know."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.errors import IsolationError, ServerLost
from seatrial.resources.kinds.s3.connection import client, session
from seatrial.resources.kinds.s3.notes import OURS

if TYPE_CHECKING:
    from seatrial.resources.protocol import Address, Endpoint

SHOWN = 20
_TOLD = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "Metadata",
    "StorageClass",
    "WebsiteRedirectLocation",
)
_SETTINGS: Mapping[str, tuple[str, str]] = {
    "cors": ("get_bucket_cors", "CORSRules"),
    "encryption": ("get_bucket_encryption", "ServerSideEncryptionConfiguration"),
    "lifecycle": ("get_bucket_lifecycle_configuration", "Rules"),
    "policy": ("get_bucket_policy", "Policy"),
    "tags": ("get_bucket_tagging", "TagSet"),
    "versioning": ("get_bucket_versioning", "Status"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as in the baseline."""

    kind: str
    """"object", "upload", "versions", "setting" or "bucket"."""
    name: str
    what: str
    writer: str = ""
    """Always empty: S3 does not tell who wrote."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A whole bucket at one moment, and the names of its neighbours."""

    values: Mapping[tuple[str, str], Mapping[str, str]]
    """What is told of each thing, by kind and name."""
    unseen: tuple[str, ...] = ()
    """Nothing: whoever reads a bucket may read all of it, or fails."""


class Audit:
    """The audit of one bucket. It reads every object, whatever a listing says of it.

    Args:
        endpoint: the server.
        address: the bucket's.
        alone: whether the whole server is ours, so that other buckets count as well.
    """

    def __init__(self, endpoint: Endpoint, address: Address, *, alone: bool) -> None:
        self._endpoint = endpoint
        self._bucket = address.database
        self._alone = alone
        self._made_of = session()

    def baseline(self) -> Snapshot:
        """Read everything."""
        ours = client(self._endpoint, self._made_of)
        try:
            values = {
                **{("object", key): told for key, told in self._objects(ours)},
                **{("upload", key): told for key, told in self._uploads(ours)},
                **{("versions", key): told for key, told in self._versions(ours)},
                **{("setting", name): self._setting(ours, *how) for name, how in _SETTINGS.items()},
            }
            if self._alone:
                # Those of other runs come and go: they are noted before they are made, and until they are gone.
                known = self._known(ours)
                names = {one["Name"] for one in ours.list_buckets()["Buckets"]}
                values.update({("bucket", name): {} for name in names - known - self._known(ours)})
        finally:
            ours.close()
        return Snapshot(values=values)

    def differences(self, baseline: Snapshot) -> tuple[Difference, ...]:
        """Everything that is not as in `baseline`. Raises `IsolationError` where something can't be read."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self.baseline()
        except (BotoCoreError, ClientError, ServerLost) as error:
            raise IsolationError(
                f"The audit could not read the bucket: {_said(error)}",
                cause="it is gone, or the server is",
                fix="see the log of the server; a test that removes its bucket gets a new one",
            ) from error
        return tuple(_differences(baseline.values, found.values))

    def _known(self, client: Any) -> set[str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=OURS)
        return {
            OURS,
            *(one["Key"].split("/")[1] for page in pages for one in page.get("Contents", ()) if "/" in one["Key"]),
        }

    def _objects(self, client: Any) -> Iterator[tuple[str, dict[str, str]]]:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket):
            for one in page.get("Contents", ()):
                got = client.get_object(Bucket=self._bucket, Key=one["Key"])
                digest = hashlib.sha256()
                for chunk in got["Body"].iter_chunks():
                    digest.update(chunk)
                tags = client.get_object_tagging(Bucket=self._bucket, Key=one["Key"])["TagSet"]
                yield (
                    one["Key"],
                    {
                        "content": f"{got['ContentLength']} bytes, SHA-256 {digest.hexdigest()[:16]}",
                        "ETag": got["ETag"],
                        "tags": repr(sorted((tag["Key"], tag["Value"]) for tag in tags)),
                        "rights": self._rights(client, one["Key"]),
                        **{name: repr(got[name]) for name in _TOLD if got.get(name)},
                    },
                )

    def _rights(self, client: Any, key: str) -> str:
        from botocore.exceptions import ClientError

        try:
            grants = client.get_object_acl(Bucket=self._bucket, Key=key)["Grants"]
        except ClientError as error:  # not every server has them
            return str(error.response["Error"]["Code"])
        return repr(sorted((one["Permission"], sorted(one["Grantee"].items())) for one in grants))

    def _uploads(self, client: Any) -> Iterator[tuple[str, dict[str, str]]]:
        listed = client.list_multipart_uploads(Bucket=self._bucket).get("Uploads") or ()
        for key, count in Counter(one["Key"] for one in listed).items():
            yield key, {"open": str(count)}

    def _versions(self, client: Any) -> Iterator[tuple[str, dict[str, str]]]:
        """How many versions and marks of deletion there are: the numbers of versions are new in each copy."""
        counts: Counter[tuple[str, str]] = Counter()
        for page in client.get_paginator("list_object_versions").paginate(Bucket=self._bucket):
            for name in ("Versions", "DeleteMarkers"):
                counts.update((one["Key"], name) for one in page.get(name, ()))
        for key in sorted({key for key, _ in counts}):
            yield key, {name: str(counts[key, name]) for name in ("Versions", "DeleteMarkers")}

    def _setting(self, client: Any, call: str, part: str) -> dict[str, str]:
        from botocore.exceptions import ClientError

        try:
            told = getattr(client, call)(Bucket=self._bucket).get(part)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "NoSuchBucket":
                raise
            return {"value": "none"} if code.startswith("No") or "NotFound" in code else {"value": code}
        return {"value": repr(told) if told else "none"}


def _said(error: Exception) -> str:
    return error.what if isinstance(error, ServerLost) else str(error)


def _differences(
    before: Mapping[tuple[str, str], Mapping[str, str]], after: Mapping[tuple[str, str], Mapping[str, str]]
) -> Iterator[Difference]:
    for kind, name in sorted(before.keys() | after.keys()):
        was, is_ = before.get((kind, name)), after.get((kind, name))
        if was is None:
            yield Difference(kind=kind, name=name, what="is new")
        elif is_ is None:
            yield Difference(kind=kind, name=name, what="is gone")
        elif was != is_:
            parts = sorted(part for part in was.keys() | is_.keys() if was.get(part) != is_.get(part))
            told = "; ".join(f"{part} was {was.get(part, 'none')}, is {is_.get(part, 'none')}" for part in parts)
            yield Difference(kind=kind, name=name, what=told)
