"""PostgreSQL: templates, copies, and undoing what a test wrote."""

from __future__ import annotations

from seatrial.resources.kinds.postgres.kind import Postgres

__all__ = ["Postgres"]
