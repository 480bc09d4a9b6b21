"""The one copy that a server of Redis holds: written to by anybody, and brought back by its own commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seatrial.resources.kinds.redis.baseline.counters import Changed, Counters
from seatrial.resources.kinds.redis.baseline.restore import Restorer
from seatrial.resources.kinds.redis.baseline.snapshot import Entry, Snapshot, take
from seatrial.resources.kinds.redis.client import AsyncRedisClient, RedisClient
from seatrial.resources.kinds.redis.wire import Wire
from seatrial.resources.protocol import Address, Ended, Undone

_SHOWN = 20
ANYTHING = "*"


class RedisCopy:
    """A whole server, from first test to last. It can reset, clone and take layers.

    Args:
        wire: our connection; it is the store's, which closes it.
        address: where apps find it.
        template: what it holds at the start of each test.
        marked: the database in which our marker stands, on a server that is not ours.
    """

    def __init__(self, wire: Wire, address: Address, template: Snapshot, marked: int | None = None) -> None:
        self.address = address
        self._wire = wire
        self._marked = marked
        self._restorer = Restorer(wire, template, marked)
        self._below: list[Restorer] = []
        self._counters: Counters | None = None

    def client(self, *, is_async: bool = False) -> RedisClient | AsyncRedisClient:
        """A client of redis-py's, as `from_url` makes it."""
        return AsyncRedisClient(self.address.url()) if is_async else RedisClient(self.address.url())

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """Always empty: Redis does not tell who wrote."""
        del own
        return ()

    def mark(self) -> None:
        """Nothing: what counts is how the counters stood at the last undo."""

    def undo(self) -> Undone:
        """Back to the baseline. One round trip where nothing was written, two where something was.

        Where something was, every key of the seed is restored: the cost grows with the seed.
        """
        changed = self._changed()
        if not changed and not self._restorer.baseline.volatile:
            return Undone(path="nothing")
        return Undone(path="copy", notes=self._restore(changed))

    def late_writes(self) -> tuple[str, ...]:
        """Keys that differ although the baseline was reached, as "DATABASE:KEY"; one round trip where none does."""
        if not self._changed():
            return ()
        now, wanted = take(self._wire).names(), self._restorer.baseline.names()
        names = sorted(name for name in {*now, *wanted} if _value(now, name) != _value(wanted, name))
        return tuple(names[:_SHOWN]) or (ANYTHING,)

    def renew(self) -> None:
        """The whole baseline, whatever the counters say. Every other connection is ended."""
        for sort in ("normal", "pubsub"):
            self._wire.ask("CLIENT", "KILL", "TYPE", sort, "SKIPME", "yes")
        self._restore(Changed())

    def changed(self) -> bool:
        """Whether anything was written since the baseline was reached: one round trip."""
        return bool(self._changed())

    def push(self) -> None:
        """What it holds now is the baseline. Nobody's connection is ended.

        The server tells of no script that was loaded since: from then on, and till `pop`, none is taken away.
        """
        below = self._restorer
        counters = below.counters()  # before it is read: who writes meanwhile is undone, with what he wrote
        layer = Restorer(
            self._wire,
            take(self._wire, below.baseline.scripts),
            self._marked,
            keeps_scripts=below.keeps_scripts or self._since(counters).code,
        )
        self._below.append(below)
        self._restorer, self._counters = layer, counters

    def pop(self) -> None:
        """What was there before the last `push` is the baseline again, and in the copy."""
        self._restorer = self._below.pop()
        self._restore(Changed())

    def close(self) -> None:
        """Nothing: the connection is the store's."""

    def _changed(self) -> Changed:
        return self._since(self._restorer.counters())

    def _since(self, counters: Counters) -> Changed:
        return Changed() if self._counters is None else counters.since(self._counters)

    def _restore(self, changed: Changed) -> tuple[str, ...]:
        self._counters, notes = self._restorer.restore(changed)
        return notes


def _value(names: Mapping[str, Entry], name: str) -> bytes | None:
    entry = names.get(name)
    return entry.value if entry else None
