"""A program that we do not know, filled by the project's seed, and brought back by the project's own `reset`."""

from __future__ import annotations

import inspect
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from seatrial.core import wait
from seatrial.core.importing import import_object, shortened
from seatrial.core.redact import redact
from seatrial.errors import ConfigError, IsolationError, SeatrialError, ServerSpent
from seatrial.resources.kinds.command.program import SEEDED, given_password, is_function
from seatrial.resources.protocol import Address, Ended, Endpoint, ServerSpec, Target, Undone

NOTHING = "nothing"
"""The `reset` of a program that keeps nothing."""
_MINUTE = 60


class CommandStore:
    """`protocol.Store` of one program: its only template is what the seed has made of it."""

    def __init__(self, endpoint: Endpoint, address: Address, spec: ServerSpec) -> None:
        assert endpoint.socket_folder is not None, "it runs here"
        self.locale = f"{endpoint.kind} {spec.data['command']}"
        self._seeded = endpoint.socket_folder / SEEDED
        self._secret = given_password(endpoint.socket_folder)
        self._address = address
        self._spec = spec

    def find(self, key: str) -> bool:
        """Whether this very process of the program has had that seed."""
        try:
            return self._seeded.read_text(encoding="ascii") == key
        except FileNotFoundError:
            return False

    def build(self, key: str, name: str, fill: Callable[[Target], None]) -> bool:
        """Run the seed.

        Raises:
            ServerSpent: the program already has another seed, or a part of one.
        """
        del name
        if self._seeded.exists():
            raise ServerSpent(
                "the program already has another seed, or a part of one, and can't get this one on top of it",
                cause="the seed was altered after the program had started, or it failed halfway",
                fix="type `seatrial down`; the next run starts the program again, without any seed",
            )
        self._seeded.touch()  # from now on it is not as it starts
        fill(Target(address=self._address, execute=_refuse, connect=_no_client))
        self._seeded.write_text(key, encoding="ascii")
        return True

    def checkout(self, key: str, name: str) -> CommandCopy:
        """The program, after its `reset`: an earlier run may have crashed in the middle of a test."""
        del key, name
        copy = CommandCopy(self._address, self._spec.data["reset"], self._spec.project, self._secret)
        copy.undo()
        return copy

    def drop(self, name: str) -> None:
        """Nothing: the program ends by itself, when nobody uses it."""

    def close(self) -> None:
        """Nothing is open."""


class CommandCopy:
    """A program, from first test to last. It can reset, in the project's own way."""

    def __init__(self, address: Address, reset: str, project: Path, secret: str) -> None:
        self.address = address
        self._secret = secret
        self._reset = reset
        self._project = project

    def client(self, *, is_async: bool = False) -> UrlClient:
        """Its URL: which client is of use, the project knows."""
        del is_async
        return UrlClient(self.address.url())

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """Always empty: nobody can tell."""
        del own
        return ()

    def mark(self) -> None:
        """Nothing to remember."""

    def undo(self) -> Undone:
        """Run the project's `reset`, whether or not the test wrote anything: nobody can tell.

        Raises:
            IsolationError: it failed; with what it said.
        """
        if self._reset == NOTHING:
            return Undone(path="nothing")
        if is_function(self._reset):
            self._call()
        else:
            self._run()
        return Undone(path="copy")

    def late_writes(self) -> tuple[str, ...]:
        """Always empty: nobody can tell."""
        return ()

    def close(self) -> None:
        """Nothing is open."""

    def _call(self) -> None:
        function = import_object(self._reset, self._project)
        try:
            result = function(self.address.url())
            if inspect.isawaitable(result):
                wait.finish(result)
        except SeatrialError:
            raise
        except Exception as error:
            raise IsolationError(
                f'the reset "{self._reset}" failed',
                cause=redact(shortened(error, self._project), self._secret),
                fix="mend the function: it takes the program's URL",
            ) from error

    def _run(self) -> None:
        fields = self.address.fields()
        try:
            words = [word.format_map(fields) for word in shlex.split(self._reset)]
            done = subprocess.run(
                words, cwd=self._project, capture_output=True, text=True, errors="replace", timeout=_MINUTE, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error
        if done.returncode:
            raise self._failed(f"exit status {done.returncode}: {(done.stderr or done.stdout).strip()}")

    def _failed(self, why: str) -> IsolationError:
        return IsolationError(
            redact(f"the reset `{self._reset}` failed", self._secret),
            cause=redact(why, self._secret),
            fix="mend the command: it may name {url}, {host} and {port}",
        )


class UrlClient:
    """The value of the fixture: the program's URL."""

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
    raise ConfigError("a command has no SQL to run", fix='write seed = "tests.services:fill", or a command')


def _no_client() -> None:
    raise ConfigError(
        "the seed asks for a client, and a command has none",
        fix="let the function take the URL: def fill(url): ...",
    )
