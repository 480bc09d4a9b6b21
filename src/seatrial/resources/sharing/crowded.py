"""Connects to a server that may have no connection left at the moment, because others have them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from seatrial.core import wait
from seatrial.core.redact import redact
from seatrial.errors import ServerLost

if TYPE_CHECKING:
    from seatrial.resources.protocol.servers import Endpoint

FULL = 30.0
"""Seconds to wait until somebody closes a connection."""

Connection = TypeVar("Connection")


def connect(attempt: Callable[[], Connection], endpoint: Endpoint, is_full: Callable[[Exception], bool]) -> Connection:
    """What `attempt` returns: it is repeated while it fails with an error for which `is_full` is true.

    Raises:
        ServerLost: the server had no connection left for `FULL` seconds. Any other error of `attempt` as it is.
    """
    until = wait.now() + FULL
    while True:
        try:
            return attempt()
        except Exception as error:
            if not is_full(error):
                raise
            if wait.now() >= until:
                admin = endpoint.admin
                raise ServerLost(
                    f"the {endpoint.kind} server at {admin.host}:{admin.port} has had no connection left "
                    f"for {FULL:.0f} s",
                    cause=redact(str(error), admin.password),
                    fix="close pools at the end of a test, run fewer workers, or raise max_connections of the server",
                ) from error
        wait.pause(0.1)
