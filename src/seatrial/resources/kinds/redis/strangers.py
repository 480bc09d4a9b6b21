"""A Redis that somebody else runs is used only if it is empty or bears our marker, and by one run at a time."""

from __future__ import annotations

import secrets
from functools import partial

from seatrial.core.redact import redact
from seatrial.errors import Refused, ServerLost
from seatrial.resources.kinds.redis.baseline.snapshot import MARKER, numbers
from seatrial.resources.kinds.redis.wire import NAME, ReplyError, Wire
from seatrial.resources.protocol import Endpoint, Stranger


def claim(wire: Wire, endpoint: Endpoint) -> int:
    """Make the server ours for as long as this connection is open; returns the database that bears the marker.

    Raises:
        Refused: it holds data and no marker, or another run has it. Nothing was touched.
    """
    admin = endpoint.admin
    where = f"the {endpoint.kind} server at {admin.host}:{admin.port}"
    last = _last(wire)
    marked = _bears(wire, last)
    if not marked and numbers(wire):
        raise Refused(
            f"{where} holds data and does not bear our marker, so it may be somebody's real one",
            cause="a test may write to every database of it, and each reset empties them all; nothing was touched",
            fix=f"if all that is in it may be lost: seatrial adopt {redact(admin.url())}; "
            "or remove `url`: Seatrial then starts a server",
        )
    wire.ask("CLIENT", "SETNAME", f"{NAME}-holder")
    mine = wire.ask("CLIENT", "ID")
    holders = [_id(line) for line in wire.ask("CLIENT", "LIST").splitlines() if b"name=seatrial-holder " in line]
    if min(holders, default=mine) != mine:
        raise Refused(
            f"{where} is in use by another run, or another worker of this one",
            cause="what tests do to a Redis can't be told apart from inside, so it serves one worker at a time",
            fix="run without -n, or remove `url`: Seatrial then starts a server for each worker",
        )
    if not marked:
        _mark(wire, last)
    return last


def stranger(endpoint: Endpoint) -> Stranger:
    """The server, looked at before it is adopted.

    Raises:
        ServerLost: it does not answer, or refuses us.
    """
    admin, wire = endpoint.admin, Wire(endpoint)
    try:
        last = _last(wire)
        marked, held = _bears(wire, last), numbers(wire)
    except ReplyError as error:
        raise ServerLost(f"the {endpoint.kind} server refuses us", cause=str(error)) from error
    finally:
        wire.close()
    return Stranger(
        what=f"the {endpoint.kind} server at {admin.host}:{admin.port}",
        holds=f"keys in the databases {', '.join(map(str, sorted(held)))}" if held else "",
        means="the next test that uses it empties every database of it",
        ours=marked,
        mark=partial(_adopt, endpoint),
    )


def _adopt(endpoint: Endpoint) -> None:
    wire = Wire(endpoint)
    try:
        _mark(wire, _last(wire))
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


def _id(line: bytes) -> int:
    return int(line.partition(b"id=")[2].split()[0])
