"""Any program with a port, a probe and a log: the way to run what Seatrial does not know."""

from __future__ import annotations

from seatrial.resources.kinds.command.kind import Command

__all__ = ["Command"]
