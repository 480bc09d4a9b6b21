"""A worker's share of a PostgreSQL's connections, as an advisory lock whose number says how large the share is.

It ends with the worker's connection, and no other record is kept.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.naming import lock_number
from seatrial.resources.sharing.budget import Budget, Seen, read

if TYPE_CHECKING:
    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.protocol import Endpoint, ServerSpec

OWN = 5
"""What a worker of ours takes at most: for its databases, the log, its copy, lost rows and spare clones."""
_SPACE = lock_number("budget") % 2**31
"""The first half of the locks' numbers; of the second half the lower 22 bits are the worker's, the others its share."""
_BITS = 22
_ASK = """
BEGIN;
SELECT pg_advisory_xact_lock({mutex});
WITH ours AS (
  SELECT coalesce(sum(objid::bigint >> {bits}), 0)::int AS used, count(*)::int AS workers FROM pg_locks
  WHERE locktype = 'advisory' AND granted AND classid = {space} AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), room AS (
  SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
  - coalesce(current_setting('reserved_connections', true)::int, 0) - count(*)::int AS free
  FROM pg_stat_activity WHERE usesysid IS NOT NULL AND datid IS NOT NULL AND pid <> pg_backend_pid()
  AND application_name NOT LIKE 'seatrial%'
  AND coalesce(shobj_description(datid, 'pg_database'), '') NOT LIKE '{{"seatrial":%'
)
SELECT used, workers, free,
  CASE WHEN used + {share} <= least({most}, free) THEN pg_try_advisory_lock({space}, {token}) ELSE false END
FROM ours, room;
COMMIT
"""


def budget(admin: Link, endpoint: Endpoint, spec: ServerSpec) -> Budget:
    """This worker's share, which is taken as long as `admin` is open."""
    most, share = read(spec.data, OWN)
    return Budget(endpoint, partial(ask, admin), most=most, share=share)


def ask(admin: Link, share: int, most: int) -> Seen:
    """What there is; the share is taken if there are as many left of `most`."""
    token = share << _BITS | secrets.randbits(_BITS)
    asked = _ASK.format(mutex=lock_number("budget"), bits=_BITS, space=_SPACE, share=share, most=most, token=token)
    used, workers, free, taken = next(result.rows[0] for result in admin.run(asked)[2:] if result.rows)
    if taken:
        admin.lasting.append(f"SELECT pg_try_advisory_lock({_SPACE}, {token})")
    return Seen(used=used, workers=workers, free=free, taken=taken)
