"""Pools of the app whose connections went stale: each has a generation, and old ones are not lent again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from seatrial.core.ports import HERE
from seatrial.resources.first_state import FIRST, OWN, restoring
from seatrial.resources.protocol import Address


class Lent(Protocol):
    """A connection that a pool has lent."""

    pid: int
    """The server's process behind it; 0 where that is not known."""

    @property
    def locked(self) -> bool:
        """Whether it can't be used till it is gathered."""
        ...

    def __call__(self) -> bool:
        """Put it back into its first state, or lock it for that. Returns whether it was back in its pool."""
        ...

    def send(self) -> None:
        """Have the server begin."""
        ...

    def gather(self) -> None:
        """Wait until that is done."""
        ...


class Pools:
    """When each database of this process was last replaced, and which connections are older than that.

    A patch stamps each new connection of a pool with `stamp(...)`, and asks `stale(...)` before it is lent
    again. So nothing is closed from a foreign thread or loop: a pool finds out at its next checkout.

    What was `lent` is put back into its first state by `restore` and `gather`, at check-in.
    """

    own: ClassVar[str] = OWN
    first_state: ClassVar[str] = FIRST

    def __init__(self) -> None:
        self._lent: dict[str, dict[Lent, None]] = {}
        self._begun: dict[str, dict[Lent, None]] = {}
        self._held: dict[str, list[int]] = {}
        self._moment = 0
        self._replaced: dict[str, int] = {}
        self._set_aside: set[str] = set()

    def invalidate(self, address: Address) -> None:
        """All connections to `address` that exist now are stale, and so are those that are being opened."""
        self._moment += 1
        self._replaced[key_of(address.host, address.port, address.database)] = self._moment

    def watch(self, address: Address) -> None:
        """Connections to `address` are put back into their first state after each test."""
        self._lent.setdefault(key_of(address.host, address.port, address.database), {})

    def restore(self, address: Address) -> None:
        """The test is over: what was lent to it, and is back in its pool, is as it was opened, once it is gathered."""
        key = key_of(address.host, address.port, address.database)
        used, self._lent[key] = self._lent.get(key, {}), {}
        self._begun.setdefault(key, {}).update(used)  # first: who is interrupted in the midst of it gathers them, too
        self._held[key] = [one.pid for one in used if not one()]

    def send(self, address: Address) -> None:
        """Have the server begin what `gather` waits for."""
        for one in self._begun.get(key_of(address.host, address.port, address.database), ()):
            one.send()

    def gather(self, address: Address) -> None:
        """Do what `restore` has begun, all at once."""
        self.send(address)
        begun = self._begun.get(key_of(address.host, address.port, address.database), {})
        while begun:  # one by one: where a time-out breaks this off, it can be gone on with
            begun.popitem()[0].gather()

    def returning(self, address: Address) -> Sequence[int]:
        """Server processes of the connections that are locked till `gather` has put them back."""
        begun = self._begun.get(key_of(address.host, address.port, address.database), ())
        return [one.pid for one in begun if one.locked]

    def held(self, address: Address) -> Sequence[int]:
        """Server processes of the connections that were not back in their pools at the last `restore`."""
        return self._held.get(key_of(address.host, address.port, address.database), ())

    def restoring(self, rows: Sequence[Any]) -> str:
        """The statements that bring back the state of which `first_state` gave these rows."""
        return restoring(rows)

    def watched(self, stamp: tuple[str, int]) -> bool:
        """Whether the connection with this stamp leads to one of our copies."""
        return stamp[0] in self._lent

    def lent(self, stamp: tuple[str, int], connection: Lent) -> None:
        """The running test may have used the connection; calling it puts it back."""
        self._lent[stamp[0]][connection] = None

    def set_aside(self, address: Address) -> None:
        """Connections to `address` are not to be lent until `bring_back`: they are good, and of no use now."""
        self._set_aside.add(key_of(address.host, address.port, address.database))

    def bring_back(self, address: Address) -> None:
        """They may be lent again, as far as they are still there."""
        self._set_aside.discard(key_of(address.host, address.port, address.database))

    def moment(self) -> int:
        """The present: to be taken before a connection is opened, where that can be known."""
        return self._moment

    def stamp(self, host: str, port: int, database: str, moment: int) -> tuple[str, int]:
        """What to remember with a connection: its database, and the moment before it was opened."""
        return key_of(host, port, database), moment

    def stale(self, stamp: tuple[str, int]) -> bool:
        """Whether a connection with this stamp must not be lent again."""
        key, moment = stamp
        return key in self._set_aside or self._replaced.get(key, 0) > moment


def key_of(host: str, port: int, database: str) -> str:
    """One name for one database of this machine, by whatever name of its host."""
    if not port and not host:
        return database
    here = host in HERE or host.startswith("/")
    return f"{'' if here else host}:{port}/{database}"
