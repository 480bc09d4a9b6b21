"""Whether a database equals its baseline, told by reading all of it, on a path that the undo does not know."""

from __future__ import annotations

from seatrial.resources.kinds.postgres.audit.audit import Audit
from seatrial.resources.kinds.postgres.audit.difference import Difference, RowChange
from seatrial.resources.kinds.postgres.audit.snapshot import Rows, Snapshot

__all__ = ["Audit", "Difference", "RowChange", "Rows", "Snapshot"]
