"""How many connections the workers of all machines may have on a server that is not ours, and whose turn it is.

Each worker takes its share before it has a copy, as an advisory lock whose number says how large the share is: it ends
with the worker's connection, whatever happens to the worker or its machine, and no other record is kept.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.core import wait
from seatrial.errors import ConfigError, ProviderError
from seatrial.resources.kinds.postgres.naming import lock_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.protocol import Endpoint

OWN = 5
"""What a worker of ours takes at most: for its databases, the log, its copy, lost rows and spare clones."""
WORKER = 10
"""What a worker takes with its app, where nothing else is said: a pool of SQLAlchemy keeps five."""
PATIENCE = 120.0
"""Seconds to wait for the end of other workers."""
_SPACE = lock_number("budget") % 2**31
"""The first half of the locks' numbers; of the second half the lower 22 bits are the worker's, the others its share."""
_BITS = 22
_LARGEST = 2 ** (31 - _BITS) - 1
_ASK = """
BEGIN;
SELECT pg_advisory_xact_lock({mutex});
WITH ours AS (
  SELECT coalesce(sum(objid::bigint >> {bits}), 0)::int AS used, count(*)::int AS workers FROM pg_locks
  WHERE locktype = 'advisory' AND granted AND classid = {space} AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), room AS (
  SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
  - coalesce(current_setting('reserved_connections', true)::int, 0) - count(*)::int AS free
  FROM pg_stat_activity WHERE usesysid IS NOT NULL AND datid IS NOT NULL AND pid <> pg_backend_pid()
  AND application_name NOT LIKE 'seatrial%'
  AND coalesce(shobj_description(datid, 'pg_database'), '') NOT LIKE '{{"seatrial":%'
)
SELECT used, workers, free,
  CASE WHEN used + {share} <= least({most}, free) THEN pg_try_advisory_lock({space}, {token}) ELSE false END
FROM ours, room;
COMMIT
"""


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
        admin: our connection; the share is taken as long as it is open.
        endpoint: the server.
        most: connections for the workers of all machines together; 0 for all that the server leaves.
        share: connections that this worker and its app may use.
    """

    def __init__(self, admin: Link, endpoint: Endpoint, *, most: int, share: int) -> None:
        self._admin = admin
        self._endpoint = endpoint
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
            seen[:] = [self._ask()]
            return seen[0].taken or not seen[0].workers

        wait.until(asked, timeout=PATIENCE, every=0.1)
        self._taken = seen[0].taken
        if not self._taken:
            raise self._refused(seen[0])

    def told(self) -> str:
        """How much there is and who has it, for people; empty for a server of ours. Takes nothing."""
        if self._endpoint.owned:
            return ""
        seen = self._ask(take=False)
        least = min(self._most or seen.free, seen.free)
        return (
            f"{max(least, 0)} for the workers of all machines, {self._share} each; "
            f"{seen.workers} {'has' if seen.workers == 1 else 'have'} {seen.used} now"
        )

    def _ask(self, *, take: bool = True) -> Seen:
        token = self._share << _BITS | secrets.randbits(_BITS)
        most = (self._most or 2**31 - 1) if take else 0
        asked = _ASK.format(
            mutex=lock_number("budget"), bits=_BITS, space=_SPACE, share=self._share, most=most, token=token
        )
        used, workers, free, taken = next(result.rows[0] for result in self._admin.run(asked)[2:] if result.rows)
        if taken:
            self._admin.lasting.append(f"SELECT pg_try_advisory_lock({_SPACE}, {token})")
        return Seen(used=used, workers=workers, free=free, taken=taken)

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


def read(options: Mapping[str, str]) -> tuple[int, int]:
    """The keys `connections` and `worker_connections` as numbers.

    Raises:
        ConfigError: they are none, or one worker would not fit.
    """
    most = _number("connections", options.get("connections", ""), 0, 1, 2**31 - 1)
    share = _number("worker_connections", options.get("worker_connections", ""), WORKER, OWN + 1, _LARGEST)
    if most and most < share:
        raise ConfigError(
            f"`connections` is {most}, and one worker takes {share}",
            cause=f"{OWN} are ours, the others are for the app; `worker_connections` says how many both may have",
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
