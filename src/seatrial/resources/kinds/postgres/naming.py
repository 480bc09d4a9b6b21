"""What our databases are called on a server, and the comment by which we know that they are ours."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from seatrial.resources.kinds.postgres.connection import identifier, literal

MARK = 1
"""The version of the comment's form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The comment on a database of ours. A database without one is never dropped or written."""

    what: str
    """"template", "reference", "copy", "spare", "layer", "building", "old", "kept", "lasting", "admin", "adopted"."""
    key: str = ""
    """The whole key of the template."""
    run: str = ""
    horizon: int = 0
    """Of a template: every row in it has an `xmin` below this transaction id."""
    since: int = 0
    """When it was kept, or last used, by the server's clock in seconds."""
    roles: tuple[int, ...] = ()
    """Of a template on a server of ours: the oids of the roles that were made with it."""

    fragile: bool = False
    """Of a template: it has rows that a crash of the server takes along (unlogged tables)."""
    comment: str = ""
    """Of an adopted database: what its owner had written in this place."""

    def text(self) -> str:
        """The comment."""
        return json.dumps({"seatrial": MARK, **asdict(self)}, separators=(",", ":"))

    def written_on(self, database: str) -> str:
        """The statement that makes it the comment of a database, whatever that has."""
        return f"COMMENT ON DATABASE {identifier(database)} IS {literal(self.text())}"

    @staticmethod
    def read(comment: str | None) -> Marker | None:
        """The marker in a comment, or None: then the database is somebody else's."""
        try:
            found = json.loads(comment or "")
        except ValueError:
            return None
        if not isinstance(found, dict) or found.pop("seatrial", None) != MARK:
            return None
        try:
            return Marker(**{**found, "roles": tuple(found.get("roles", ()))})
        except TypeError:
            return None


def template_name(key: str) -> str:
    """The database that holds the template `key`."""
    return f"seatrial_t_{digest(key)}"


def reference_name(key: str) -> str:
    """The database beside a template that we read lost rows from: a template itself must have no connections."""
    return f"seatrial_r_{digest(key)}"


def aside_name(name: str) -> str:
    """The database that a lasting one called `name` becomes while a run needs that name."""
    return f"seatrial_l_{digest(name)}"


def digest(key: str) -> str:
    """Twelve characters for a key of any length."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def lock_number(text: str) -> int:
    """The advisory lock that stands for `text`: a signed 64 bit number."""
    return int.from_bytes(hashlib.sha256(f"seatrial:{text}".encode()).digest()[:8], "big", signed=True)
