"""How many connections the workers of all machines may have on a server that is not ours, and whose turn it is.

Each worker takes its share before it has a copy. How it is written down is the kind's matter, where every machine can
see it and so that it ends with the worker's connection, whatever happens to the worker or its machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.core import wait
from seatrial.errors import ConfigError, ProviderError

if TYPE_CHECKING:
    from seatrial.resources.protocol.servers import Endpoint

WORKER = 10
"""What a worker takes with its app, where nothing else is said: a pool of SQLAlchemy keeps five."""
LARGEST = 511
"""The largest share of one worker: what PostgreSQL's locks have room for."""
UNLIMITED = 2**31 - 1
PATIENCE = 120.0
"""Seconds to wait for the end of other workers."""
OPTIONS: Mapping[str, str] = {"connections": "60", "worker_connections": "10"}
"""The keys of a kind with a budget, each with an example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a worker found when it asked for its share."""

    used: int
    """Connections that the shares of all workers come to."""
    workers: int
    free: int
    """What the server leaves to us, all workers together."""
    taken: bool


class Budget:
    """One worker's share of the connections of a server.

    Args:
        endpoint: the server.
        ask: with a share, and how many there may be for all workers: it takes the share if it fits, and if there are as
            many connections; in any case it tells what it has seen. The share ends with the worker's connection.
        most: connections for the workers of all machines together; 0 for all that the server leaves.
        share: connections that this worker and its app may use.
    """

    def __init__(self, endpoint: Endpoint, ask: Callable[[int, int], Seen], *, most: int, share: int) -> None:
        self._endpoint = endpoint
        self._ask = ask
        self._most = most
        self._share = share
        self._taken = endpoint.owned  # a server of ours has room for all workers of this machine

    def take(self) -> None:
        """Have a share from now on, as soon as there is one.

        Raises:
            ProviderError: none came free for two minutes, or the server leaves less than one share at all.
        """
        if self._taken:
            return
        seen: list[Seen] = []

        def asked() -> bool:
            seen[:] = [self._ask(self._share, self._most or UNLIMITED)]
            return seen[0].taken or not seen[0].workers

        wait.until(asked, timeout=PATIENCE, every=0.1)
        self._taken = seen[0].taken
        if not self._taken:
            raise self._refused(seen[0])

    def describe(self) -> str:
        """How much there is and who has it, for people; empty for a server of ours. Takes nothing."""
        if self._endpoint.owned:
            return ""
        seen = self._ask(self._share, 0)
        least = min(self._most or seen.free, seen.free)
        return (
            f"{max(least, 0)} for the workers of all machines, {self._share} each; "
            f"{seen.workers} {'has' if seen.workers == 1 else 'have'} {seen.used} now"
        )

    def _refused(self, seen: Seen) -> ProviderError:
        admin = self._endpoint.admin
        cause = f"the server leaves {max(seen.free, 0)} to us, and one worker with its app takes {self._share}"
        if seen.workers:
            cause = (
                f"{seen.workers} of all machines have {seen.used}, this one would take {self._share}, and "
                f"{self._words(seen)}"
            )
        return ProviderError(
            f"the server at {admin.host}:{admin.port} has no connections left for another worker",
            cause=cause,
            fix="run fewer workers, or wait for other runs; or raise `connections`, or max_connections of the server",
        )

    def _words(self, seen: Seen) -> str:
        if self._most and self._most <= seen.free:
            return f"`connections` is {self._most}"
        return f"the server leaves {max(seen.free, 0)} to us"


def read(options: Mapping[str, str], own: int) -> tuple[int, int]:
    """The keys `connections` and `worker_connections` as numbers.

    Args:
        options: the keys, as they are written.
        own: connections of a worker that are ours at most, and not its app's.

    Raises:
        ConfigError: they are none, or one worker would not fit.
    """
    most = _number("connections", options.get("connections", ""), 0, 1, UNLIMITED)
    share = _number("worker_connections", options.get("worker_connections", ""), WORKER, own + 1, LARGEST)
    if most and most < share:
        raise ConfigError(
            f"`connections` is {most}, and one worker takes {share}",
            cause=f"{own} are ours, the others are for the app; `worker_connections` says how many both may have",
            fix=f"write connections = {share} or more, or a smaller `worker_connections`",
        )
    return most, share


def _number(key: str, text: str, default: int, least: int, most: int) -> int:
    if not text:
        return default
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not least <= number <= most:
        raise ConfigError(f'`{key}` is "{text}"', fix=f"write a number from {least} to {most}, as in {key} = 40")
    return number
