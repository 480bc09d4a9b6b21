"""S3: a bucket for each worker, on a small server of its own kind, emptied of what a test wrote."""

from __future__ import annotations

from seatrial.resources.kinds.s3.kind import S3

__all__ = ["S3"]
