"""The templates of JetStream, in files of the cache, and the one copy that a server holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from seatrial.core import folders
from seatrial.core.locks import FileLock
from seatrial.errors import ConfigError, IsolationError
from seatrial.resources.kinds.nats.streams import Taken, catch_up, dump, has_more, load, look, put, rejoin, take
from seatrial.resources.kinds.nats.wire import Failure, Wire
from seatrial.resources.protocol import Address, Ended, Endpoint, Target, Undone

_LAST_USE = 14 * 24 * 3600
"""Seconds after which a template that nobody used is removed."""
_BUILDING = 600
"""Seconds to wait for another process that builds the same template."""


class NatsStore:
    """Templates and the copy of one server, which is one worker's as long as this is open."""

    def __init__(self, endpoint: Endpoint, address: Address) -> None:
        self.locale = f"{endpoint.kind} {endpoint.version}"
        self._address = address
        self._wire = Wire(endpoint)
        self._templates = folders.room("nats")
        self._templates.mkdir(mode=0o700, parents=True, exist_ok=True)

    def find(self, key: str) -> bool:
        """Whether the template is there. It is then safe from removal by age for some days."""
        try:
            os.utime(self._template(key))
        except FileNotFoundError:
            return False
        return True

    def build(self, key: str, name: str, fill: Callable[[Target], None]) -> bool:
        """Make the template `key` on this server. It gets its name when it is whole."""
        del name
        with FileLock(self._templates / f"{key}.lock", timeout=_BUILDING, purpose="building the same template"):
            if self.find(key):
                return False
            NatsCopy(self._wire, self._address, {}).renew()
            try:
                fill(Target(address=self._address, execute=_refuse, connect=_no_client))
                catch_up(self._wire)
                unfinished = self._templates / f"{key}.{os.getpid()}"
                unfinished.write_text(dump({stream: take(self._wire, stream) for stream in look(self._wire)}))
                unfinished.replace(self._template(key))
            except BaseException:
                NatsCopy(self._wire, self._address, {}).renew()
                raise
            folders.remove_unused(self._templates.glob("*.json"), _LAST_USE)
        return True

    def checkout(self, key: str, name: str) -> NatsCopy:
        """The copy, fresh. Connections to it stay open."""
        del name
        copy = NatsCopy(self._wire, self._address, load(self._template(key).read_text()))
        copy.renew()
        return copy

    def drop(self, name: str) -> None:
        """Remove every stream."""
        del name
        NatsCopy(self._wire, self._address, {}).renew()

    def close(self) -> None:
        """Close our connection."""
        self._wire.close()

    def _template(self, key: str) -> Path:
        return self._templates / f"{key}.json"


class NatsCopy:
    """All streams of a server, from first test to last. It can reset, clone and take layers."""

    def __init__(self, wire: Wire, address: Address, template: Mapping[str, Taken]) -> None:
        self.address = address
        self._wire = wire
        self._template = template
        self._below: list[Mapping[str, Taken]] = []
        self._seen: dict[str, str] = {}
        """What JetStream told of each stream when the baseline was reached."""

    def client(self, *, is_async: bool = False) -> UrlClient:
        """Its URL: a client of nats-py belongs to an event loop, and is connected in it."""
        del is_async
        return UrlClient(self.address.url())

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """Always empty: NATS does not tell who published."""
        del own
        return ()

    def mark(self) -> None:
        """Nothing: what counts is what JetStream told at the last undo."""

    def undo(self) -> Undone:
        """Streams that differ are put back whole, and others left alone.

        The cost of finding them grows with the number of streams and consumers; that of restoring one with what
        the seed has in it.
        """
        touched = self._touched(look(self._wire))
        if not touched:
            return Undone(path="nothing")
        self._restore(touched)
        return Undone(path="copy", tables=touched)

    def late_writes(self) -> tuple[str, ...]:
        """The streams that differ although the baseline was reached."""
        return self._touched(look(self._wire))

    def renew(self) -> None:
        """Every stream, whatever it looks like."""
        self._restore(tuple({*look(self._wire), *self._template}))

    def changed(self) -> bool:
        """Whether any stream is not as in the baseline."""
        return bool(self.late_writes())

    def push(self) -> None:
        """What it holds now is the baseline."""
        catch_up(self._wire)
        # Before it is taken: what is written meanwhile is undone, together with what is taken of it.
        seen = look(self._wire)
        layer = {name: take(self._wire, name) for name in seen}
        self._below.append(self._template)
        self._template, self._seen = layer, seen

    def pop(self) -> None:
        """What was there before the last `push` is the baseline again, and in the copy."""
        self._template = self._below.pop()
        self.renew()

    def close(self) -> None:
        """Nothing: the connection is the store's."""

    def _touched(self, now: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(sorted(name for name in {*now, *self._seen} if now.get(name) != self._seen.get(name)))

    def _restore(self, names: Sequence[str]) -> None:
        there = look(self._wire)
        back = self._back(names)
        try:
            for name in {*names, *back}:  # all first: a test's stream may listen to the subjects of one that comes back
                if name in there:
                    self._wire.api(f"STREAM.DELETE.{name}")
            for name, taken in back.items():
                put(self._wire, name, taken)
            rejoin(self._wire, back)
        except Failure as error:
            raise IsolationError(
                "JetStream refuses what would bring a stream back to its baseline",
                cause=str(error),
                fix="see the server's log; `seatrial down` ends the server, the next run begins with a new one",
            ) from error
        # What somebody wrote meanwhile, there or elsewhere, is late.
        seen = {name: told for name, told in look(self._wire).items() if name in back}
        kept = {name: told for name, told in self._seen.items() if name in self._template and name not in back}
        self._seen = kept | {name: "" if has_more(told, back[name]) else told for name, told in seen.items()}

    def _back(self, names: Sequence[str]) -> dict[str, Taken]:
        """What has to be put back, in order: these, and those that JetStream fills from them."""
        chosen = set(names)
        while more := {name for name, one in self._template.items() if chosen & {*one.origins}} - chosen:
            chosen |= more
        ordered: dict[str, Taken] = {}
        while left := {name: self._template[name] for name in sorted(chosen & self._template.keys() - ordered.keys())}:
            ordered |= {name: one for name, one in left.items() if not left.keys() & {*one.origins}} or left
        return ordered


class UrlClient:
    """The value of the fixture: the server's URL."""

    def __init__(self, url: str) -> None:
        self.value = url

    def settle(self) -> None:
        """Nothing is open."""

    def renew(self) -> None:
        """Nothing is open."""

    def replace(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""


def _refuse(script: str) -> None:
    del script
    raise ConfigError("a nats resource has no SQL to run", fix='write seed = "tests.seed:load", or a command')


def _no_client() -> None:
    raise ConfigError(
        "the seed asks for a client, and one of NATS belongs to an event loop",
        fix="let the function take the URL: async def load(url): ...",
    )
