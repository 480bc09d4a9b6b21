"""All that one Redis holds, as values: keys of every database, functions, scripts, users and settings."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field

from seatrial.resources.kinds.redis.wire import ReplyError, Wire, Word, information

MARKER = b"seatrial:ours"
"""The key by which a server that somebody else runs is known as one for tests, in its last database."""
_PAGE = 1000
_GONE = -2
"""PTTL's answer for a key that is not there."""
Command = tuple[Word, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key: `value` is what DUMP gives, `ttl` its remaining milliseconds, 0 for none."""

    key: bytes
    value: bytes
    ttl: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What belongs to the whole server, besides its keys."""

    users: tuple[bytes, ...] = ()
    """As ACL LIST tells them: each is the rule that makes it."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """As CONFIG GET * tells them."""
    gone: tuple[bytes, ...] = ()
    """In a difference: users that the first had and the second has not."""

    def since(self, first: Surroundings) -> Surroundings:
        """What differs from `first`: a template is made on one server, and copied to others with ports of their own."""
        kept = set(map(name_of, self.users))
        return Surroundings(
            users=tuple(rule for rule in self.users if rule not in first.users),
            settings={name: value for name, value in self.settings.items() if first.settings.get(name) != value},
            gone=tuple(name for rule in first.users if (name := name_of(rule)) not in kept),
        )

    def on(self, first: Surroundings) -> Surroundings:
        """The other way round: `first` with these differences."""
        replaced = {*self.gone, *map(name_of, self.users)}
        return Surroundings(
            users=(*(rule for rule in first.users if name_of(rule) not in replaced), *self.users),
            settings={**first.settings, **self.settings},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A baseline."""

    databases: Mapping[int, tuple[Entry, ...]] = field(default_factory=dict)
    functions: bytes = b""
    scripts: tuple[bytes, ...] = ()
    """The texts of scripts in the cache: the server tells of none, so that they are heard while a seed runs."""
    surroundings: Surroundings = Surroundings()

    @property
    def volatile(self) -> bool:
        """Whether a key runs out by itself: its time starts anew in each test."""
        return any(entry.ttl for entries in self.databases.values() for entry in entries)

    def commands(self) -> Iterator[Command]:
        """What gives an emptied server these keys."""
        for number, entries in self.databases.items():
            yield ("SELECT", number)
            for entry in entries:
                yield ("RESTORE", entry.key, entry.ttl, entry.value, "REPLACE")
        if self.databases:
            yield ("SELECT", 0)

    def names(self) -> dict[str, Entry]:
        """Every key, by "DATABASE:KEY"."""
        return {
            f"{number}:{entry.key.decode(errors='backslashreplace')}": entry
            for number, entries in self.databases.items()
            for entry in entries
        }

    def dump(self) -> str:
        """The text of a file that `load` reads."""
        return json.dumps(asdict(self), default=_text)


def load(text: str) -> Snapshot:
    """The snapshot in a text that `dump` wrote."""
    told = json.loads(text)
    databases = {
        int(number): tuple(Entry(key=_data(one["key"]), value=_data(one["value"]), ttl=one["ttl"]) for one in entries)
        for number, entries in told["databases"].items()
    }
    around = told["surroundings"]
    return Snapshot(
        databases=databases,
        functions=_data(told["functions"]),
        scripts=tuple(map(_data, told["scripts"])),
        surroundings=Surroundings(
            users=tuple(map(_data, around["users"])),
            settings=around["settings"],
            gone=tuple(map(_data, around["gone"])),
        ),
    )


def name_of(rule: bytes) -> bytes:
    """The user that a rule of ACL LIST is about: "user NAME on ..."."""
    return rule.split()[1]


def take(wire: Wire, scripts: Iterable[bytes] = ()) -> Snapshot:
    """What the server holds now."""
    databases = {number: tuple(_entries(wire, number)) for number in sorted(numbers(wire))}
    return Snapshot(
        databases={number: entries for number, entries in databases.items() if entries},
        functions=_functions(wire),
        scripts=tuple(scripts),
        surroundings=surroundings(wire),
    )


def surroundings(wire: Wire) -> Surroundings:
    """The users and settings now; empty where our user may not ask for them."""
    try:
        users, pairs = wire.ask_all([("ACL", "LIST"), ("CONFIG", "GET", "*")])
    except ReplyError:
        return Surroundings()
    texts = [pair.decode(errors="surrogateescape") for pair in pairs]
    return Surroundings(users=tuple(users), settings=dict(zip(texts[::2], texts[1::2], strict=True)))


def numbers(wire: Wire) -> list[int]:
    """The databases that hold a key."""
    return [int(name[2:]) for name in information(wire.ask("INFO", "keyspace")) if name.startswith("db")]


def _entries(wire: Wire, number: int) -> list[Entry]:
    wire.ask("SELECT", number)
    keys: set[bytes] = set()
    cursor = b"0"
    while True:
        cursor, page = wire.ask("SCAN", cursor, "COUNT", _PAGE)
        keys.update(page)
        if cursor == b"0":
            break
    keys.discard(MARKER)
    ordered = sorted(keys)
    replies = wire.ask_all([command for key in ordered for command in (("DUMP", key), ("PTTL", key))])
    wire.ask("SELECT", 0)
    pairs = zip(ordered, replies[::2], replies[1::2], strict=True)
    # -1 is for no time to live. 0 is the last millisecond of one.
    return [
        Entry(key=key, value=value, ttl=0 if ttl == -1 else max(ttl, 1))
        for key, value, ttl in pairs
        if value is not None and ttl != _GONE
    ]


def _functions(wire: Wire) -> bytes:
    try:
        return bytes(wire.ask("FUNCTION", "DUMP"))
    except ReplyError:  # Redis has functions from 7.0 on
        return b""


def _text(value: object) -> str:
    assert isinstance(value, bytes)
    return base64.b64encode(value).decode()


def _data(text: str) -> bytes:
    return base64.b64decode(text)
