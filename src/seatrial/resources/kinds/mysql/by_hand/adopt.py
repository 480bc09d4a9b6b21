"""A database that somebody else has made is looked at, and listed as one that we may use."""

from __future__ import annotations

import secrets
from contextlib import closing
from functools import partial

from seatrial.errors import ConfigError, Refused
from seatrial.resources.kinds.mysql.connection import SYSTEM, Link, literal
from seatrial.resources.kinds.mysql.databases import OURS, Databases, listed
from seatrial.resources.kinds.mysql.locks import Locks
from seatrial.resources.protocol import AdoptionCandidate, Endpoint


def adoption_candidate(endpoint: Endpoint) -> AdoptionCandidate:
    """The database that `endpoint` names.

    Raises:
        ConfigError: it names none.
        Refused: it is one of the server's own.
    """
    admin = endpoint.admin
    if admin.database in (*SYSTEM, OURS):
        raise Refused(
            f'the database "{admin.database}" at {admin.host}:{admin.port} can\'t be adopted',
            cause="whoever adopts one lets tests drop it, and the server would work no more, or Seatrial on it",
            fix="name the database that tests may overwrite",
        )
    if not admin.database:
        raise ConfigError(
            f"no database is named at {admin.host}:{admin.port}",
            cause="one database is adopted, not all that a server has",
            fix="give its whole URL: seatrial adopt mysql://USER:PASSWORD@HOST:PORT/DATABASE",
        )
    with closing(Link(endpoint)) as link:
        tables, size = link.rows(
            "SELECT COUNT(*), COALESCE(SUM(data_length + index_length), 0) FROM information_schema.tables "
            f"WHERE table_schema = {literal(admin.database)}"
        )[0]
        ours = listed(link, admin.database)
    return AdoptionCandidate(
        what=f'the database "{admin.database}" at {admin.host}:{admin.port}',
        holds=f"{tables} {'table' if tables == 1 else 'tables'}, {int(size) / 2**20:.1f} MB" if tables else "",
        means="a run that needs a database of this name drops it, with all that is in it, and puts a copy there; "
        "an empty procedure in it is the marker",
        ours=ours,
        mark=partial(_mark, endpoint),
    )


def _mark(endpoint: Endpoint) -> None:
    with closing(Link(endpoint)) as link:
        Databases(link, Locks(link), endpoint, secrets.token_hex(6)).adopt(endpoint.admin.database)
