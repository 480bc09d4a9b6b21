"""What a Redis counts, by which a test that wrote nothing is known in one round trip."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.resources.kinds.redis.wire import information

ASK = ("INFO", "everything")
"""One command; "everything" includes the calls of each command, which Redis 6 tells only here and in "all"."""

_KEYS = ("rdb_changes_since_last_save", "rdb_saves", "rdb_last_save_time", "expired_keys", "evicted_keys")
"""A SAVE sets the first to zero; keys that run out are counted apart from it."""
_USERS = ("acl", "acl|setuser", "acl|deluser", "acl|load")
_SETTINGS = ("config", "config|set", "config|resetstat", "config|rewrite")
_CODE = (
    "eval",
    "evalsha",
    "eval_ro",
    "evalsha_ro",
    *("script", "script|load", "script|flush"),
    *("function", "function|load", "function|delete", "function|flush", "function|restore"),
)
_WHOLE = ("save", "bgsave", "debug", "swapdb", "flushall", "flushdb")
_ROLE = ("replicaof", "slaveof")
_PAUSE = ("client|pause",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Two that are equal enclose a time in which nothing was written."""

    keys: tuple[str, ...]
    users: int
    settings: int
    code: int
    whole: int
    role: int
    pauses: int
    infos: int
    """How often anybody has asked: it only grows, unless somebody has set the statistics to zero."""

    def since(self, before: Counters) -> Changed:
        """What was written between two readings."""
        anything = self.infos <= before.infos
        return Changed(
            keys=anything or self.keys != before.keys or self.whole != before.whole,
            users=anything or self.users != before.users,
            settings=anything or self.settings != before.settings,
            code=anything or self.code != before.code,
            role=anything or self.role != before.role,
            paused=anything or self.pauses != before.pauses,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Which parts of the server differ, or may differ, from the baseline."""

    keys: bool = True
    users: bool = True
    settings: bool = True
    code: bool = True
    role: bool = False
    """Whether somebody made it a replica, or no longer one."""
    paused: bool = True
    """Whether somebody let the writes of all wait."""

    def __bool__(self) -> bool:
        return self.keys or self.users or self.settings or self.code or self.role or self.paused


def read(text: bytes) -> Counters:
    """The counters in what INFO told."""
    told = information(text)

    def calls(names: tuple[str, ...]) -> int:
        found = (told.get(f"cmdstat_{name}", "calls=0") for name in names)
        return sum(int(one.partition("calls=")[2].partition(",")[0]) for one in found)

    return Counters(
        keys=tuple(told.get(name, "") for name in _KEYS),
        users=calls(_USERS),
        settings=calls(_SETTINGS),
        code=calls(_CODE),
        whole=calls(_WHOLE),
        role=calls(_ROLE),
        pauses=calls(_PAUSE),
        infos=calls(("info",)),
    )
