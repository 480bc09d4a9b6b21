"""NATS with JetStream: streams, consumers, key-value and object buckets, brought back after each test."""

from __future__ import annotations

from seatrial.resources.kinds.nats.kind import Nats

__all__ = ["Nats"]
