"""A template that somebody else fills: its empty database is handed out, and sealed when he says that he is done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from seatrial.control.leases.lane import Lane
from seatrial.control.leases.lease import Lease
from seatrial.harness.plan import Plan
from seatrial.resources.protocol import Address, Target


class Discarded(Exception):
    """The one who was to fill the template has given it up, or is gone."""


class Building:
    """One template in the making: `Store.build` waits, in a thread of its own, for what is decided about it.

    Args:
        plan: the resource. Its server runs.
        key: of the template.
        name: of the database to fill.
        lease: whether somebody is still at it.
    """

    def __init__(self, plan: Plan, key: str, name: str, lease: Lease) -> None:
        self.lease = lease
        self._plan = plan
        self._key = key
        self._name = name
        self._lane = Lane(f"template {name}")
        self._decided = threading.Event()
        self._discarded = False
        self._address: asyncio.Future[Address | None] = asyncio.get_running_loop().create_future()
        self._done = asyncio.ensure_future(self._lane.run(self._work(asyncio.get_running_loop())))
        self._done.add_done_callback(self._over)

    async def address(self) -> Address | None:
        """The database to fill; None where the template is there already, because another process made it."""
        return await asyncio.shield(self._address)

    async def finalize(self) -> None:
        """Seal it. Raises what keeps it from being a template."""
        self._decided.set()
        await asyncio.shield(self._done)

    async def discard(self) -> None:
        """Leave nothing of it. Those who wait for it are told."""
        self._discarded = True
        self._decided.set()
        await asyncio.wait([self._done])

    async def finished(self, timeout: float) -> bool | None:  # noqa: ASYNC109 - the wait is part of what is promised
        """Wait for its end: whether it is a template now. None if that took too long."""
        await asyncio.wait([self._done], timeout=timeout)
        if not self._done.done():
            return None
        return not self._done.cancelled() and self._done.exception() is None

    def _work(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        def fill(target: Target) -> None:
            loop.call_soon_threadsafe(self._tell, target.address)
            self._decided.wait()
            if self._discarded:
                raise Discarded

        def build() -> None:
            store = self._plan.kind.open(self._plan.server.endpoint, self._plan.spec, self._plan.role)
            try:
                store.build(self._key, self._name, fill)
            finally:
                store.close()

        return build

    def _tell(self, address: Address | None) -> None:
        if not self._address.done():
            self._address.set_result(address)

    def _over(self, done: asyncio.Future[None]) -> None:
        self._lane.close()
        error = None if done.cancelled() else done.exception()
        if error is not None and not self._address.done():
            self._address.set_exception(error)
        self._tell(None)
