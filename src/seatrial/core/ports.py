"""TCP ports of this machine: chosen for good, and held without listening until a server takes them."""

from __future__ import annotations

import errno
import hashlib
import socket
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from seatrial.errors import ProviderError

# Below the ports that Linux (32768 on) and macOS (49152 on) hand out by themselves: nobody gets ours by chance
# while nothing of ours runs.
_FIRST, _COUNT = 20000, 12000

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names of the loopback interface."""
HERE = ("", *LOOPBACK)
"""What an address on this machine may have as its host, besides a folder of unix sockets: nothing is one of them."""


class Reservation:
    """A port of the loopback interface that is bound, not listened to.

    A server that sets SO_REUSEADDR, as PostgreSQL and most do, can still listen on it where the kernel allows that
    (`shared`); elsewhere `close` it just before the server starts. Several processes may hold the same one.
    """

    def __init__(self, port: int, holders: tuple[socket.socket, ...]) -> None:
        self.port = port
        self._holders = holders

    @property
    def shared(self) -> bool:
        """Whether a server can listen on the port while this is held."""
        other = _bind("127.0.0.1", self.port)
        if other is None:
            return False
        other.close()
        return True

    def lend(self) -> bool:
        """Let a server listen on the port: hold it beside the server where that is possible, else close it.

        Returns whether it is still held.
        """
        if not self.shared:
            self.close()
        return bool(self._holders)

    def close(self) -> None:
        """Give the port up. Calling it again does nothing."""
        holders, self._holders = self._holders, ()
        for holder in holders:
            holder.close()


def hold(port: int, *, alone: bool = False) -> Reservation | None:
    """Hold this port of 127.0.0.1 (and of ::1 where the machine has it); None if somebody listens on it.

    With `alone`, None also where somebody else holds it, or connections to it have ended less than a minute ago. That
    is the only way to see one who holds and does not listen yet: of another cache, or another user's.
    """
    first = _bind("127.0.0.1", port, alone=alone)
    if first is None:
        return None
    if not has_ipv6():
        return Reservation(port, (first,))
    second = _bind("::1", port, alone=alone)
    if second is None:
        first.close()
        return None
    return Reservation(port, (first, second))


def rested(port: int) -> bool:
    """Whether no connection to this port is known to the kernel: then who can't hold it alone is not the only one."""
    try:
        tables = [Path(f"/proc/net/{name}").read_text(encoding="ascii") for name in ("tcp", "tcp6")]
    except OSError:  # another platform, or one of the two is not there
        return False
    return not any(row.split()[1].endswith(f":{port:04X}") for table in tables for row in table.splitlines()[1:])


def choose(key: str, taken: Collection[int]) -> Reservation:
    """Hold a free port that is not one of `taken`, and that nobody else holds: for the same key the same, if it can be.

    Raises:
        ProviderError: a few thousand ports in a row are taken.
    """
    start = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    for step in range(_COUNT):
        port = _FIRST + (start + step * 7) % _COUNT
        held = None if port in taken else hold(port, alone=True)
        if held is not None:
            return held
    raise ProviderError(
        f"no free TCP port between {_FIRST} and {_FIRST + _COUNT}",
        cause="every one of them is listened to, or the loopback interface is down",
        fix="end some of the servers on this machine",
    )


@contextmanager
def lent(reservations: Iterable[Reservation]) -> Iterator[None]:
    """Lend these ports to a server that starts in the meantime, and close them then: it has them now, or has failed."""
    with ExitStack() as until:
        for held in reservations:
            until.callback(held.close)
            held.lend()
        yield


def has_ipv6() -> bool:
    """Whether this machine answers on ::1, which "localhost" may mean."""
    probe = _bind("::1", 0)
    if probe is None:
        return False
    probe.close()
    return True


def _bind(host: str, port: int, *, alone: bool = False) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        holder = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return None
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, not alone)
        if family == socket.AF_INET6:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        holder.bind((host, port))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # whoever shares it may come from now on
    except OSError as error:
        holder.close()
        if error.errno == errno.EACCES:
            raise ProviderError(
                f"port {port} can't be used",
                cause="ports under 1024 belong to root",
                fix="take a port from 1024 on",
            ) from None
        return None
    return holder
