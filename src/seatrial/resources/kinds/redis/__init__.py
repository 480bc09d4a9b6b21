"""Redis and Valkey: a small server for each worker, brought back to its seed after each test."""

from __future__ import annotations

from seatrial.resources.kinds.redis.kind import Redis, Valkey

__all__ = ["Redis", "Valkey"]
