"""Django's connections to a database that was replaced are opened anew."""

from __future__ import annotations

from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from seatrial.patches.django.ours import place_of
from seatrial.patches.lending.generations import Generations, Stamp, address_of
from seatrial.patches.protocol import Patch
from seatrial.patches.replacing import Changes, Replacing


def reconnecting(generations: Generations) -> Patch:
    """A connection is stamped when it is opened, and looked at before it is used: in the thread that it belongs to.

    One inside a transaction is left alone: that is lost anyway, and its owner is told by the server.
    """

    def change(module: ModuleType, changes: Changes) -> None:
        kind = module.BaseDatabaseWrapper
        connect, cursor, autocommit = kind.connect, kind._cursor, kind.get_autocommit  # noqa: SLF001 - where all queries pass
        stamps: WeakKeyDictionary[Any, Stamp] = WeakKeyDictionary()

        def stamping(wrapper: Any) -> None:
            moment = generations.moment()
            stamps.pop(wrapper, None)  # MySQL's backend has queries before `connect` returns
            connect(wrapper)
            where = address_of(wrapper.connection) or place_of(wrapper.settings_dict)
            stamps[wrapper] = generations.stamp(*where, moment)

        def refresh(wrapper: Any) -> None:
            if wrapper.connection is not None and not wrapper.in_atomic_block:
                stamp = stamps.get(wrapper)
                if stamp is not None and generations.stale(stamp):
                    wrapper.close()

        def checking(wrapper: Any, name: str | None = None) -> Any:
            refresh(wrapper)
            return cursor(wrapper, name)

        def get_autocommit(wrapper: Any) -> Any:
            refresh(wrapper)  # what a transaction asks before it begins
            return autocommit(wrapper)

        changes.replace(kind, "connect", stamping)
        changes.replace(kind, "_cursor", checking)
        changes.replace(kind, "get_autocommit", get_autocommit)

    return Replacing("Django connections: replace stale ones", "django.db.backends.base.base", change)
