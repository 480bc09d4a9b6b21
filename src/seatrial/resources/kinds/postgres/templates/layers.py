"""Lay a layer on a copy: what is in it now, fixtures' seed data included, becomes a template of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.templates import sealing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.databases import Databases
    from seatrial.resources.kinds.postgres.naming import Marker
    from seatrial.resources.protocol import Endpoint

POSITION = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_current_wal_insert_lsn()::text"


def lay(
    admin: Link,
    databases: Databases,
    endpoint: Endpoint,
    name: str,
    template: str,
    marker: Marker,
    touched: Sequence[str] | None,
) -> tuple[int, str]:
    """Make the database `template` a copy of `name`, which stays in its place.

    Both are sealed (the tables `touched`, or all): the copy first, in place (VACUUM moves no row), then the template
    is cloned from it, so that each row has the same `ctid` in both. Nobody is connected to the copy from then on
    until the two figures are taken: every row in it is older than the horizon, everything that is logged later is
    news.

    Returns:
        The horizon, a transaction id; and the position in the log.
    """
    found: list[tuple[int, str]] = []

    def clone() -> None:
        databases.create(template, marker, name)
        found.append(admin.rows(POSITION)[0])

    sealing.seal(admin, endpoint, name, touched)
    databases.alone_with(name, clone)
    return found[-1]
