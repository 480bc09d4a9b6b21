"""A Redis that somebody else runs is used only if it bears our marker, and by one run at a time."""

from __future__ import annotations

import secrets
from functools import partial

from seatrial.core.redact import redact
from seatrial.errors import Refused, ServerLost
from seatrial.resources.kinds.redis.baseline.snapshot import MARKER, numbers
from seatrial.resources.kinds.redis.wire import NAME, ReplyError, Wire
from seatrial.resources.protocol import AdoptionCandidate, Endpoint

_MEANS = "the next test that uses it empties every database of it, and deletes its functions"


def claim(wire: Wire, endpoint: Endpoint) -> int:
    """Make the server ours for as long as this connection is open; returns the database that bears the marker.

    Raises:
        Refused: it has no marker, or another run has it. Nothing was touched.
    """
    admin = endpoint.admin
    where = f"the {endpoint.kind} server at {admin.host}:{admin.port}"
    last = _last(wire)
    if not _bears(wire, last):  # also where it is empty: a cache of somebody's may be, for a moment
        raise Refused(
            f"{where} does not bear our marker, so it may be somebody's real one",
            cause=f"it holds {_held(wire) or 'nothing just now'}; {_MEANS}; nothing was touched",
            fix=f"if all that is or will be in it may be lost: seatrial adopt {redact(admin.url())}; "
            "or remove `url`: Seatrial then starts a server",
        )
    wire.rename(f"{NAME}-holder")
    mine = wire.ask("CLIENT", "ID")
    holders = [_id(line) for line in wire.ask("CLIENT", "LIST").splitlines() if b"name=seatrial-holder " in line]
    if min(holders, default=mine) != mine:
        raise Refused(
            f"{where} is in use by another run, or another worker of this one",
            cause="what tests do to a Redis can't be told apart from inside, so it serves one worker at a time",
            fix="run without -n, or remove `url`: Seatrial then starts a server for each worker",
        )
    return last


def adoption_candidate(endpoint: Endpoint) -> AdoptionCandidate:
    """The server, looked at before it is adopted.

    Raises:
        ServerLost: it does not answer, or refuses us.
    """
    admin, wire = endpoint.admin, Wire(endpoint)
    try:
        last = _last(wire)
        marked, held = _bears(wire, last), _held(wire)
    except ReplyError as error:
        raise refuses(endpoint, error) from error
    finally:
        wire.close()
    return AdoptionCandidate(
        what=f"the {endpoint.kind} server at {admin.host}:{admin.port}",
        holds=held,
        means=_MEANS,
        ours=marked,
        mark=partial(_adopt, endpoint),
    )


def refuses(endpoint: Endpoint, error: ReplyError) -> ServerLost:
    """What a server's refusal means to somebody who asked for a test."""
    return ServerLost(
        f"the {endpoint.kind} server refuses us",
        cause=str(error),
        fix="give `url` a user who may run every command on every key (ACL: +@all ~* &*), with the right password; "
        "a server that is still loading its data, is a replica, or part of a cluster, can't be used",
    )


def _adopt(endpoint: Endpoint) -> None:
    wire = Wire(endpoint)
    try:
        _mark(wire, _last(wire))
    except ReplyError as error:
        raise refuses(endpoint, error) from error
    finally:
        wire.close()


def _mark(wire: Wire, number: int) -> None:
    wire.ask_all([("SELECT", number), ("SET", MARKER, secrets.token_hex(4)), ("SELECT", 0)])


def _last(wire: Wire) -> int:
    """The highest number of a database: the least likely to be anybody's."""
    try:
        return int(wire.ask("CONFIG", "GET", "databases")[1]) - 1
    except (ReplyError, IndexError):  # a service that hides its settings
        return 0


def _bears(wire: Wire, number: int) -> bool:
    marked = wire.ask_all([("SELECT", number), ("EXISTS", MARKER), ("SELECT", 0)])[1]
    return bool(marked)


def _held(wire: Wire) -> str:
    """All that would be lost."""
    found = []
    if keys := numbers(wire):
        found.append(f"keys in the databases {', '.join(map(str, sorted(keys)))}")
    try:
        libraries = [dict(zip(one[::2], one[1::2], strict=True)) for one in wire.ask("FUNCTION", "LIST")]
    except ReplyError:  # Redis has functions from 7.0 on
        libraries = []
    if libraries:
        names = sorted(one[b"library_name"].decode(errors="replace") for one in libraries)
        found.append(f"the functions {', '.join(names)}")
    return " and ".join(found)


def _id(line: bytes) -> int:
    return int(line.partition(b"id=")[2].split()[0])
