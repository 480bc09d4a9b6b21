"""The templates of Redis, in files of the cache, and the one copy that a server holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from seatrial.core import folders
from seatrial.core.locks import FileLock
from seatrial.errors import ConfigError
from seatrial.resources.kinds.redis.adoption import claim, refuses
from seatrial.resources.kinds.redis.baseline.counters import Changed
from seatrial.resources.kinds.redis.baseline.listening import Scripts
from seatrial.resources.kinds.redis.baseline.restore import Restorer
from seatrial.resources.kinds.redis.baseline.snapshot import Snapshot, load, surroundings, take
from seatrial.resources.kinds.redis.copy import RedisCopy
from seatrial.resources.kinds.redis.wire import ReplyError, Wire, information
from seatrial.resources.protocol import Address, Endpoint, Target

_LAST_USE = 14 * 24 * 3600
"""Seconds after which a template that nobody used is removed."""
_BUILDING = 600
"""Seconds to wait for another process that builds the same template."""


class RedisStore:
    """Templates and the copy of one server, which is one worker's as long as this is open.

    Args:
        endpoint: the server.
        address: where apps find the copy.
    """

    def __init__(self, endpoint: Endpoint, address: Address) -> None:
        self.locale = f"{endpoint.kind} {endpoint.version}"
        self._endpoint = endpoint
        self._address = address
        self._wire = Wire(endpoint)
        self._cache = folders.room("redis")
        for folder in (self._templates, self._fresh):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._marked = None if endpoint.owned else claim(self._wire, endpoint)
            self._virgin = self._first_look()
        except ReplyError as error:
            self._wire.close()
            raise refuses(endpoint, error) from error
        except BaseException:
            self._wire.close()
            raise

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
            empty = Restorer(self._wire, self._virgin, self._marked)
            empty.restore(Changed())
            try:
                with Scripts(self._endpoint) as heard:
                    fill(Target(address=self._address, execute=self._refuse, connect=self._connect))
                full = take(self._wire, heard.texts)
                own = full.surroundings.since(self._virgin.surroundings)
                self._write(self._template(key), replace(full, surroundings=own))
            except BaseException:
                empty.restore(Changed())
                raise
            folders.remove_unused([*self._templates.glob("*.json"), *self._fresh.glob("*")], _LAST_USE)
        return True

    def checkout(self, key: str, name: str) -> RedisCopy:
        """The copy, fresh. Connections to it stay open."""
        del name
        found = load(self._template(key).read_text(encoding="ascii"))
        template = replace(found, surroundings=found.surroundings.on(self._virgin.surroundings))
        copy = RedisCopy(self._wire, self._address, template, self._marked)
        copy.undo()
        return copy

    def drop(self, name: str) -> None:
        """Empty the server."""
        del name
        Restorer(self._wire, self._virgin, self._marked).restore(Changed())

    def close(self) -> None:
        """Close our connection; a server of somebody else's is free for other runs."""
        self._wire.close()

    @property
    def _templates(self) -> Path:
        return self._cache / "templates"

    @property
    def _fresh(self) -> Path:
        return self._cache / "fresh"

    def _template(self, key: str) -> Path:
        return self._templates / f"{key}.json"

    def _first_look(self) -> Snapshot:
        """The users and settings that this server process had before anybody used it.

        They are written down when it is opened for the first time, since a run that crashed may have left others. Of a
        server of somebody else's, its users and settings are what they are now: he may have altered them since. Keys
        and functions are none of it: whatever is there was left on the disk by an earlier run.
        """
        if not self._endpoint.owned:
            return Snapshot(surroundings=surroundings(self._wire))
        run = information(self._wire.ask("INFO", "server"))["run_id"]
        path = self._fresh / f"{run}.json"
        if not path.exists():
            self._write(path, Snapshot(surroundings=surroundings(self._wire)))
        return load(path.read_text(encoding="ascii"))

    def _write(self, path: Path, snapshot: Snapshot) -> None:
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.touch(mode=0o600)  # the rules of users hold hashes of passwords
        unfinished.write_text(snapshot.dump(), encoding="ascii")
        unfinished.replace(path)

    def _refuse(self, script: str) -> None:
        del script
        raise ConfigError(
            f"a {self._endpoint.kind} resource has no SQL to run",
            fix='fill it by a function, as in seed = "tests.seed:load", or by a command',
        )

    def _connect(self) -> object:
        from seatrial.resources.kinds.redis.client import RedisClient

        return RedisClient(self._address.url()).value
