"""Sees each connection that a test opens to a host beyond this machine, and refuses it where that is asked."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Any

Tell = Callable[[str, int], bool]
"""Called with host and port of a connection that leads beyond; whether it is to be refused."""

LOCAL = ("localhost", "ip6-localhost")
LOCAL_ENDINGS = (".localhost",)


class Guard:
    """Looks at `socket.socket.connect` and `connect_ex`: what Python's own clients and asyncio's loops come down to.

    Not seen: what connects in C by itself (libpq, uvloop), and other processes. A `Patch`.

    Args:
        tell: asked of each connection that leads beyond this machine to a host that is not allowed.
        allowed: hosts, with * for anything: "api.example.org", "*.example.org", "10.0.0.*"; with ":443" for one port.
    """

    name = "sockets: connections beyond this machine are seen"

    def __init__(self, tell: Tell, allowed: Iterable[str] = ()) -> None:
        self._tell = tell
        self._allowed = tuple(pattern.lower() for pattern in allowed)
        self._names: dict[str, str] = {}
        """Address -> the name that was asked for it, as far as it went through `getaddrinfo`."""
        kind: Any = socket.socket  # later on a plugin may have put a subclass there
        self._places: Sequence[tuple[Any, str, Callable[[Callable[..., Any]], Any]]] = (
            (kind, "connect", self._looking),
            (kind, "connect_ex", self._looking),
            (socket, "getaddrinfo", self._resolving),
        )
        self._placed: dict[str, tuple[Any, Any, Any]] = {}
        """By name: ours, what that calls, and what stood there before; None where that was inherited."""

    def apply(self) -> None:
        """Look from now on, at sockets that exist as well; again where somebody has put back what was there before.

        pytest-socket does so after every test, to take away what it may have put there itself. While something else of
        its own is there, that stays: it would not find it again inside ours.
        """
        for owner, name, wrap in self._places:
            found = getattr(owner, name)
            if name not in self._placed:
                self._placed[name] = wrap(found), found, vars(owner).get(name)
            ours, before, _ = self._placed[name]
            if found is before:
                setattr(owner, name, ours)

    def undo(self) -> None:
        """Look no longer; what somebody else has put there since stays."""
        for owner, name, _ in self._places:
            ours, _, before = self._placed.pop(name, (None, None, None))
            if ours is None or vars(owner).get(name) is not ours:
                continue
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

    def _resolving(self, resolve: Callable[..., Any]) -> Callable[..., Any]:
        def resolving(
            host: Any,
            port: Any,
            family: int = 0,
            type: int = 0,  # noqa: A002 - as the real one has it
            proto: int = 0,
            flags: int = 0,
        ) -> Any:
            name = _text(host)
            try:
                found = resolve(host, port, family, type, proto, flags)
            except socket.gaierror:
                # A name that nobody knows here is asked for all the same: a machine without a network tells it too.
                # Who asks for addresses only will ask for the name next: trio's loop.
                if name and not flags & socket.AI_NUMERICHOST and self._is_beyond(name, _number(port)):
                    self._tell(name, _number(port))
                raise
            for *_, address in found if name else ():
                if address[0] != name:
                    self._names[str(address[0])] = name.lower()
            return found

        return resolving

    def _looking(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        def looking(self_: socket.socket, address: Any) -> Any:
            if self_.family != socket.AF_UNIX and isinstance(address, tuple) and self_.type == socket.SOCK_STREAM:
                host, port = _text(address[0]), int(address[1])
                if self._is_beyond(host, port) and self._tell(self._names.get(host, host), port):
                    raise ConnectionRefusedError(
                        errno.ECONNREFUSED,
                        f"seatrial refused the connection to {self._names.get(host, host)}:{port}: it is not allowed",
                    )
            return connect(self_, address)

        return looking

    def _is_beyond(self, host: str, port: int) -> bool:
        name = self._names.get(host, host.lower())
        if name in LOCAL or name.endswith(LOCAL_ENDINGS) or is_loopback(host):
            return False
        return not any(_fits(pattern, each, port) for pattern in self._allowed for each in (name, host.lower()))


def is_loopback(host: str) -> bool:
    """Whether an address, not a name, is one of this machine alone."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback or address.is_unspecified


def _text(host: Any) -> str:
    """A host as sockets take it: text, or bytes, as anyio and httpx's `AsyncClient` hand it over; or none."""
    return host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host or "")


def _number(port: Any) -> int:
    """A port as `getaddrinfo` takes it: a number, a service's name, or none."""
    text = _text(port)
    return int(text) if text.isdigit() else 0


def _fits(pattern: str, host: str, port: int) -> bool:
    name, colon, number = pattern.rpartition(":")
    if colon and number.isdigit() and "]" not in number and name.count(":") == 0:
        return port == int(number) and fnmatchcase(host, name)
    return fnmatchcase(host, pattern.strip("[]"))
