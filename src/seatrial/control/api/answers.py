"""What every request goes through, however it came: who may ask, what it says, and what an error becomes."""

from __future__ import annotations

import hmac
import traceback
from http import HTTPStatus
from typing import Any

from seatrial.control.api.decode import MOST_BYTES, Decoder, encode
from seatrial.control.api.messages import Problem
from seatrial.control.api.problems import RequestError, status_of
from seatrial.core.redact import redact
from seatrial.errors import SeatrialError

JSON = "application/json"


def authorize(header: str, token: bytes) -> None:
    """Refuse who does not bear the token.

    Args:
        header: the request's `Authorization`; empty where it has none.
        token: what it must bear.
    """
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token):
        raise RequestError(
            HTTPStatus.UNAUTHORIZED,
            "the token is wrong" if given else "there is no token",
            cause="every run of `seatrial serve` makes a new one, and prints it when it is ready",
            fix="send the header `Authorization: Bearer TOKEN`",
        )


def limit(size: int) -> None:
    """Refuse a body of so many bytes, if it is too long."""
    if size > MOST_BYTES:
        raise RequestError(413, f"the body has more than {MOST_BYTES} bytes", fix="send one small JSON object")


def read(decoder: Decoder, kind: str, body: bytes) -> Any:
    """The message that a body says.

    Args:
        decoder: of the message that is wanted.
        kind: the request's `Content-Type`.
        body: all of it.
    """
    kind = kind.partition(";")[0].strip().lower()
    if body and kind != JSON:
        raise RequestError(415, f"the body is {kind[:40] or 'of no type'}", fix=f"send {JSON}")
    return decoder.decode(body)


def failed(error: Exception) -> tuple[int, bytes]:
    """The status and the body that tell an error: whatever it is, the client must be told in three parts."""
    known = error if isinstance(error, SeatrialError) else _unexpected(error)
    return status_of(known), encode(Problem.of(known))


def _unexpected(error: Exception) -> SeatrialError:
    return SeatrialError(
        f"{type(error).__name__}: {redact(str(error)).strip()}",
        cause="Seatrial did not expect this:\n" + redact("".join(traceback.format_exception(error))),
        fix="this is a bug of Seatrial's: please report it with the text above",
    )
