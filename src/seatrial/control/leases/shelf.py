"""The copies of one resource that are handed out one by one: taken, reset, kept, and given back for the next."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from seatrial.control.api import messages
from seatrial.control.api.problems import NoneFree, RequestError
from seatrial.control.leases.lane import Lane
from seatrial.control.leases.lease import Lease
from seatrial.errors import SeatrialError, ServerLost
from seatrial.harness.plan import Plan
from seatrial.isolation import restore, template
from seatrial.resources.protocol import (
    Copy,
    Store,
    SupportsForget,
    SupportsKeep,
    SupportsRecycle,
    Undone,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One copy that somebody has."""

    id: str
    resource: str
    key: str
    """Of its template."""
    name: str
    copy: Copy
    lease: Lease
    hash: str = ""
    """What the holder calls the template; empty for the configured one."""
    worker: str = ""
    """With whom it goes."""


class Shelf:
    """The copies of one resource. Every method runs in one lane: they share a store.

    Args:
        plan: the resource. Its server runs.
        name: the name of a copy, by its number.
        most: copies that can be out at once; who asks for more waits.
    """

    def __init__(self, plan: Plan, *, name: Callable[[str], str], most: int) -> None:
        self.plan = plan
        self._lane = Lane(f"copies of {plan.name}")
        self._name = name
        self._most = most
        self._slots = asyncio.Semaphore(most)
        self._store: Store | None = None
        self._free: list[tuple[str, str, Copy]] = []
        """Copies at their baseline, with their template's key and their name; the oldest first."""
        self._out: set[str] = set()

    async def find(self, hash_: str) -> tuple[str, bool]:
        """The key of a template that somebody else names, and whether it is there."""

        def look() -> tuple[str, bool]:
            key = template.named(hash_, self._opened())
            return key, self._opened().find(key)

        return await self._run(look)

    async def take(self, key: str, number: str, wait: float) -> tuple[str, Copy]:
        """A copy at its baseline, and its name. Raises `NoneFree` where none comes back for `wait` seconds."""
        try:
            await asyncio.wait_for(self._slots.acquire(), wait)
        except TimeoutError:
            raise NoneFree(
                503,
                f"all {self._most} copies of {self.plan.name} are checked out, and none came back in {wait:g} s",
                cause="each copy is a database, and the server's connections are limited",
                fix="check copies in when their tests are over, or start with a higher --copies",
            ) from None
        try:
            return await self._run(lambda: self._take(key, number))
        except BaseException:
            self._slots.release()
            raise

    async def reset(self, taken: Taken) -> messages.Undone:
        """Undo what its holder wrote."""
        return await self._run(lambda: self._reset(taken.copy))

    async def in_use(self, taken: Taken) -> bool:
        """Whether somebody is connected to it who ran something since it was taken."""
        return bool(await self._run(lambda: taken.copy.used_since_checkout(())))

    async def put_back(self, taken: Taken) -> messages.Undone:
        """Its holder is done: it is brought back to its baseline, for the next one."""
        try:
            return await self._run(lambda: self._put_back(taken))
        finally:
            self._slots.release()

    async def require_keep(self) -> None:
        """Raises `RequestError` where none of these can be kept."""
        await self._run(self._keeping)

    async def keep(self, taken: Taken) -> str:
        """Set it aside under a name of its own; returns its URL. What can't be set aside is dropped."""
        try:
            return await self._run(lambda: self._keep(taken))
        finally:
            self._slots.release()

    async def forget(self, key: str) -> None:
        """Remove the template, and the copies of it that nobody has."""
        await self._run(lambda: self._forget(key))

    async def close(self) -> None:
        """Drop everything."""
        await self._lane.run(self._close)
        self._lane.close()

    async def _run(self, work: Callable[[], T]) -> T:
        def safely() -> T:
            try:
                return work()
            except ServerLost:
                self._lose()
                raise

        return await self._lane.run(safely)

    def _lose(self) -> None:
        """The server is gone, and every copy with it: the next request starts with what is there then."""
        store, self._store = self._store, None
        self._free.clear()
        self._out.clear()
        if store is not None:
            with suppress(SeatrialError):
                store.close()

    def _opened(self) -> Store:
        if self._store is None:
            self._store = self.plan.kind.open(self.plan.server.endpoint, self.plan.spec, self.plan.role)
        return self._store

    def _take(self, key: str, number: str) -> tuple[str, Copy]:
        ready = next((one for one in self._free if one[0] == key), None)
        if ready is not None:
            self._free.remove(ready)
            _, name, copy = ready
        else:
            while self._free and len(self._free) + len(self._out) >= self._most:
                self._drop(*self._free.pop(0)[1:])
            name = self._name(number)
            copy = self._opened().checkout(key, name)
        try:
            restore.ready(copy)
        except Exception:
            self._drop(name, copy)
            raise
        self._out.add(name)
        return name, copy

    def _reset(self, copy: Copy) -> messages.Undone:
        before = time.perf_counter()
        undone = restore.undo(copy)
        return _as_message(undone, (time.perf_counter() - before) * 1000)

    def _put_back(self, taken: Taken) -> messages.Undone:
        self._out.discard(taken.name)
        try:
            if isinstance(taken.copy, SupportsRecycle):
                taken.copy.end_idle(())
            undone = self._reset(taken.copy)
        except Exception:
            self._drop(taken.name, taken.copy)
            raise
        self._free.append((taken.key, taken.name, taken.copy))
        return undone

    def _keeping(self) -> SupportsKeep:
        store = self._opened()
        if not isinstance(store, SupportsKeep):
            raise RequestError(422, f"{self.plan.kind.name} can't keep a database", fix="check it in")
        return store

    def _keep(self, taken: Taken) -> str:
        self._out.discard(taken.name)
        try:
            kept = self._keeping().keep(taken.name, f"{self.plan.name}_kept_{secrets.token_hex(3)}")
            taken.copy.close()
        except Exception:
            self._drop(taken.name, taken.copy)
            raise
        return kept.url()

    def _forget(self, key: str) -> None:
        store = self._opened()
        for one in [one for one in self._free if one[0] == key]:
            self._free.remove(one)
            self._drop(*one[1:])
        if not isinstance(store, SupportsForget):
            raise RequestError(
                422, f"{self.plan.kind.name} can't remove a template", fix="take another hash for another content"
            )
        if not store.forget(key):
            raise RequestError(
                409, "the template is in use", cause="another run has copies of it", fix="wait for that run to end"
            )

    def _drop(self, name: str, copy: Copy) -> None:
        copy.close()
        self._opened().drop(name)

    def _close(self) -> None:
        if self._store is None:
            return
        for _, name, copy in self._free:
            self._drop(name, copy)
        for name in self._out:
            self._store.drop(name)
        self._free.clear()
        self._out.clear()
        self._store.close()
        self._store = None


def _as_message(undone: Undone, milliseconds: float) -> messages.Undone:
    return messages.Undone(
        path=undone.path,
        tables=undone.tables,
        rows=undone.rows,
        milliseconds=round(milliseconds, 3),
        reason="; ".join(undone.notes),
    )
