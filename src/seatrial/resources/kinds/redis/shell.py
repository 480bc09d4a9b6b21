"""How somebody talks to a Redis by hand: its command-line program where that is installed, or our own prompt."""

from __future__ import annotations

import shlex
from functools import partial
from typing import Any

from seatrial.errors import SeatrialError, ServerLost
from seatrial.resources.kinds.redis.wire import ReplyError, Wire
from seatrial.resources.protocol import Address, Endpoint, Shell


def shell(address: Address) -> Shell:
    """The password goes by a variable: a command line can be read by everybody on the machine."""
    where = ("-h", address.host, "-p", str(address.port), "-n", address.database or "0")
    tls = ("--tls",) if address.scheme == "rediss" else ()
    user = ("--user", address.user) if address.user and address.user != "default" else ()
    return Shell(
        commands=tuple((program, *where, *tls, *user) for program in ("redis-cli", "valkey-cli")),
        env={"REDISCLI_AUTH": address.password, "VALKEYCLI_AUTH": address.password} if address.password else {},
        prompt=partial(RedisPrompt, address),
    )


class RedisPrompt:
    """`protocol.Prompt`: a line is a command, its words quoted as in a shell."""

    def __init__(self, address: Address) -> None:
        self._wire = Wire(Endpoint(kind="redis", provider="", version="", admin=address), name="seatrial-shell")
        if address.database not in ("", "0"):
            self._wire.ask("SELECT", address.database)

    def whole(self, text: str) -> bool:
        """Every line is."""
        del text
        return True

    def ask(self, text: str) -> str:
        """The reply, a line for each of its parts."""
        try:
            words = shlex.split(text)
            reply = self._wire.ask(*words) if words else []
        except (ReplyError, ValueError) as error:
            raise SeatrialError(str(error), fix="correct the command") from error
        except ServerLost as error:
            raise SeatrialError(error.cause or error.what, fix=error.fix) from error
        return "\n".join(_lines(reply))

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()


def _lines(reply: Any) -> list[str]:
    if isinstance(reply, list):
        return [line for number, part in enumerate(reply, 1) for line in _numbered(number, _lines(part))]
    if isinstance(reply, bytes):
        return [reply.decode(errors="backslashreplace")]
    return ["(nil)" if reply is None else str(reply)]


def _numbered(number: int, lines: list[str]) -> list[str]:
    lead = f"{number}) "
    return [(lead if first else " " * len(lead)) + line for first, line in zip((True, *lines), lines, strict=False)]
