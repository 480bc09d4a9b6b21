"""A database that somebody else has made is looked at, and marked as one that we may use."""

from __future__ import annotations

from functools import partial

from seatrial.core.redact import redact
from seatrial.resources.kinds.postgres.connection import Link
from seatrial.resources.kinds.postgres.naming import Marker
from seatrial.resources.protocol import AdoptionCandidate, Endpoint

_LOOK = """
select pg_size_pretty(pg_database_size(current_database())),
  (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'm') and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'),
  (select shobj_description(oid, 'pg_database') from pg_database where datname = current_database())
"""
ADOPTED = "adopted"
"""The marker's word for it: no run owns it, so none sweeps it away; whoever needs its name may replace it."""


def adoption_candidate(endpoint: Endpoint) -> AdoptionCandidate:
    """The database that `endpoint` names as its own."""
    admin = endpoint.admin
    inside = Link(endpoint, admin.database)
    try:
        size, tables, comment = inside.rows(_LOOK)[0]
    finally:
        inside.close()
    ours = Marker.read(comment) is not None
    kept = "" if ours or not comment else f'; its comment, "{redact(comment)}", is kept within our marker'
    return AdoptionCandidate(
        what=f'the database "{admin.database}" at {admin.host}:{admin.port}',
        holds=f"{tables} {'table' if tables == 1 else 'tables'}, {size}" if tables else "",
        means="a run that needs a database of this name drops it, with all that is in it, and puts a copy in its place"
        + kept,
        ours=ours,
        mark=partial(_mark, endpoint),
    )


def _mark(endpoint: Endpoint) -> None:
    inside = Link(endpoint, endpoint.admin.database)
    try:
        [(_, _, comment)] = inside.rows(_LOOK)
        inside.run(Marker(what=ADOPTED, comment=comment or "").written_on(endpoint.admin.database))
    finally:
        inside.close()
