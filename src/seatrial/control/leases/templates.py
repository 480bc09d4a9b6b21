"""The templates that callers fill and name by a hash: found, begun, finalized, discarded, waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seatrial.control.api import messages
from seatrial.control.api.problems import RequestError
from seatrial.control.leases.building import Building
from seatrial.control.leases.lease import Lease
from seatrial.control.leases.shelf import Shelf
from seatrial.resources.protocol import Address


@dataclass(slots=True)
class Entry:
    """What is known of one hash."""

    shelf: Shelf
    key: str
    building: Building | None = None


class Templates:
    """All templates by hash.

    Args:
        name: the name of a database to fill, for a resource.
        lease: a new one, for whoever fills a template.
    """

    def __init__(self, name: Callable[[str], str], lease: Callable[[], Lease]) -> None:
        self._name = name
        self._lease = lease
        self._entries: dict[str, Entry] = {}

    async def open(self, hash_: str, shelf: Shelf) -> tuple[messages.Template, Address | None]:
        """Find it or begin it, and the database to fill: for one caller only, others wait for its copies."""
        entry = await self._entry(hash_, shelf)
        if entry.shelf is not shelf:
            raise RequestError(
                409,
                f'the hash "{hash_}" is that of a template of {entry.shelf.plan.name}',
                fix="take another hash for another resource",
            )
        if entry.building is not None or (await shelf.find(hash_))[1]:
            return _as_message(hash_, entry), None
        if entry.building is None:  # nobody else began it while we looked
            entry.building = Building(shelf.plan, entry.key, self._name(shelf.plan.name), self._lease())
            try:
                address = await entry.building.address()
            except BaseException:
                self._entries.pop(hash_, None)
                raise
            if address is not None:
                return _as_message(hash_, entry, address.url()), address
            entry.building = None
        return _as_message(hash_, entry), None

    async def finalize(self, hash_: str) -> messages.Template:
        """It is filled. Said again, it changes nothing."""
        entry = self._known(hash_)
        building = entry.building
        if building is not None:
            try:
                await building.finalize()
            except BaseException:
                self._entries.pop(hash_, None)
                raise
            entry.building = None
        return _as_message(hash_, entry)

    async def discard(self, hash_: str, shelf: Shelf) -> None:
        """Give it up while it is filled, or remove it when it is finished and nobody has a copy."""
        entry = self._entries.get(hash_)
        if entry is None or entry.building is None:
            entry = entry or await self._entry(hash_, shelf)
            if not (await entry.shelf.find(hash_))[1]:
                self._entries.pop(hash_, None)
                raise unknown(hash_)
            await entry.shelf.forget(entry.key)
            self._entries.pop(hash_, None)
            return
        self._entries.pop(hash_, None)
        await entry.building.discard()

    async def await_ready(self, hash_: str, shelf: Shelf, wait: float) -> tuple[Shelf, str]:
        """Where its copies are, and its key, once it is finalized. Raises `RequestError` if that will not be."""
        entry = self._entries.get(hash_)
        if entry is not None and entry.building is not None:
            finished = await entry.building.finished(wait)
            if finished is None:
                raise RequestError(
                    409,
                    f'the template "{hash_}" was not finalized in {wait:g} s',
                    cause="whoever began it is still at it, or has forgotten it",
                    fix=f"POST /v1/templates/{hash_}/finalize when it is filled, or DELETE /v1/templates/{hash_}",
                )
            if not finished:
                raise RequestError(
                    410,
                    f'the template "{hash_}" was given up before it was finished',
                    cause="whoever was to fill it discarded it, or is gone",
                    fix="POST /v1/templates begins it again",
                )
            return entry.shelf, entry.key
        entry = entry or await self._entry(hash_, shelf)
        if not (await entry.shelf.find(hash_))[1]:
            self._entries.pop(hash_, None)
            raise unknown(hash_)
        return entry.shelf, entry.key

    async def sweep(self) -> None:
        """Discard what nobody is at any more."""
        for hash_, entry in list(self._entries.items()):
            if entry.building is not None and entry.building.lease.over():
                self._entries.pop(hash_, None)
                await entry.building.discard()

    async def close(self) -> None:
        """Discard all that is not finished."""
        entries = list(self._entries.values())
        self._entries.clear()
        for entry in entries:
            if entry.building is not None:
                await entry.building.discard()

    @property
    def in_the_making(self) -> int:
        """How many are being filled."""
        return sum(entry.building is not None for entry in self._entries.values())

    async def _entry(self, hash_: str, shelf: Shelf) -> Entry:
        if hash_ not in self._entries:
            key, _ = await shelf.find(hash_)
            self._entries.setdefault(hash_, Entry(shelf, key))
        return self._entries[hash_]

    def _known(self, hash_: str) -> Entry:
        if hash_ not in self._entries:
            raise unknown(hash_)
        return self._entries[hash_]


def unknown(hash_: str) -> RequestError:
    """The error for a hash that nobody has begun."""
    return RequestError(
        404, f'there is no template "{hash_}"', fix="POST /v1/templates begins it, and says which database to fill"
    )


def _as_message(hash_: str, entry: Entry, url: str | None = None) -> messages.Template:
    return messages.Template(
        hash=hash_,
        resource=entry.shelf.plan.name,
        state="building" if entry.building is not None else "ready",
        yours=url is not None,
        url=url,
    )
