"""Objects that fixtures of wider scope left in a SQLAlchemy session: they are there for every test inside."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One object, as its fixture left it."""

    instance: weakref.ref[Any]
    owner: object
    identity: tuple[Any, ...]
    """The primary key."""
    values: Mapping[str, Any]
    """What was loaded: a test may change it, and undoes no Python object."""


class Kept:
    """The persistent objects of wider fixtures. Those that nobody holds any more are not kept alive.

    Args:
        loads: whether a session loads what an object has not, as soon as it is asked for: async ones can't.
    """

    def __init__(self, *, loads: bool) -> None:
        self._loads = loads
        self._entries: list[_Entry] = []

    def find(self, session: Any, owner: object, *, lost: bool) -> list[_Entry]:
        """Look at what a (sync) session holds that is not known yet, or has changed, while its transaction is open.

        Args:
            session: the session.
            owner: the fixture whose set-up is over.
            lost: whether something is not committed: what is known stays as it was then.
        """
        from sqlalchemy import inspect

        known = {id(entry.instance()): entry.values for entry in self._entries}
        found = []
        for instance in session.identity_map.values():
            values, before = _values(instance), known.get(id(instance))
            if before is not None and not self._loads:
                values = {**before, **values}  # a commit has expired it, which says nothing of what is in its row
            if before is None or not (lost or _same(values, before)):
                identity = inspect(instance).identity
                found.append(_Entry(instance=weakref.ref(instance), owner=owner, identity=identity, values=values))
        return found

    def add(self, found: list[_Entry], session: Any) -> None:
        """Keep those that are still persistent after the transaction's end: they were committed."""
        there = {id(instance) for instance in session.identity_map.values()}
        self._entries += [entry for entry in found if id(entry.instance()) in there]

    def drop(self, owner: object) -> None:
        """What this owner left is not kept any more: its objects, and its changes of others'."""
        first: dict[int, object] = {}
        for entry in self._entries:
            first.setdefault(id(entry.instance()), entry.owner)
        there = [entry for entry in self._entries if first.get(id(entry.instance())) is not owner]
        self._entries = [entry for entry in there if entry.owner is not owner]

    def give_back(self, session: Any) -> None:
        """Put the objects into a (sync) session that is new, with the values that they had."""
        last = {id(entry.instance()): entry for entry in self._entries}
        there = {key for key, entry in last.items() if _attach(entry, session)}
        self._entries = [entry for entry in self._entries if id(entry.instance()) in there]


def _same(values: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether an object still has what was put into it: told by identity, as an `__eq__` may do anything."""
    return values.keys() == before.keys() and all(value is before[name] for name, value in values.items())


def _values(instance: Any) -> dict[str, Any]:
    """The loaded columns, and loaded references to one other object; collections are loaded anew when asked for."""
    from sqlalchemy import inspect

    state = inspect(instance)
    mapper = state.mapper
    many = {name for name, relationship in mapper.relationships.items() if relationship.uselist}
    return {
        name: copy.deepcopy(value) if isinstance(value, dict | list | set) else value
        for name, value in state.dict.items()
        if name in mapper.attrs and name not in many
    }


def _attach(entry: _Entry, session: Any) -> bool:
    """Whether the object is alive, and no other session's; it is then persistent in `session`."""
    from sqlalchemy import inspect
    from sqlalchemy.orm import make_transient, make_transient_to_detached
    from sqlalchemy.orm.attributes import set_committed_value

    instance = entry.instance()
    if instance is None:
        return False
    state = inspect(instance)
    if state.session is not None and state.session is not session:
        return False
    make_transient(instance)  # whatever a test made of it, deleted included
    for name in state.mapper.attrs.keys():  # noqa: SIM118 - not a mapping: its iterator gives properties
        state.dict.pop(name, None)
    for column, value in zip(state.mapper.primary_key, entry.identity, strict=True):
        set_committed_value(instance, state.mapper.get_property_by_column(column).key, value)
    make_transient_to_detached(instance)
    session.add(instance)
    for name, value in entry.values.items():
        set_committed_value(instance, name, copy.deepcopy(value) if isinstance(value, dict | list | set) else value)
    return True
