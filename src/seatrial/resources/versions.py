"""The versions of servers: what a program says of itself, and what to say if a running server can't be asked."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.core.redact import redact
from seatrial.errors import ProviderError

if TYPE_CHECKING:
    from seatrial.resources.protocol import Endpoint


class Versions:
    """Asks programs for their version.

    Args:
        pattern: the version in what such a program prints; where the pattern has groups, the first that is there.
        argument: what makes it print that.
    """

    def __init__(self, pattern: str, argument: str = "--version") -> None:
        self._pattern = re.compile(pattern, re.IGNORECASE)
        self._argument = argument
        self._known: dict[Path, tuple[str, re.Match[str]]] = {}

    def of(self, program: Path) -> str:
        """The version of this program. Raises `ProviderError` if it can't be run, or prints none."""
        found = self._ask(program)[1]
        return next(filter(None, found.groups()), "") or found[0]

    def match(self, program: Path) -> re.Match[str]:
        """Where the pattern was found, for one that has more to tell. Raises `ProviderError` as `of` does."""
        return self._ask(program)[1]

    def words(self, program: Path) -> str:
        """All that it prints. Raises `ProviderError` as `of` does."""
        return self._ask(program)[0]

    def _ask(self, program: Path) -> tuple[str, re.Match[str]]:
        if program not in self._known:
            try:
                done = subprocess.run([program, self._argument], capture_output=True, text=True, check=False)
            except OSError as error:
                raise ProviderError(
                    f"{program} can't be run",
                    cause=str(error),
                    fix="run it by hand to see what it lacks, and install it anew; or put another before it on PATH",
                ) from error
            found = self._pattern.search(done.stdout)
            if found is None:
                raise ProviderError(
                    f"{program} {self._argument} does not print a version",
                    cause=done.stderr.strip()
                    or done.stdout.strip()
                    or f"it printed nothing (status {done.returncode})",
                    fix="run it by hand to see what it lacks: it may be another of that name, or half installed",
                )
            self._known[program] = (done.stdout.strip(), found)
        return self._known[program]


def not_accepted(endpoint: Endpoint, error: Exception, login: str = "user, password and database") -> ProviderError:
    """The error for a running server whose version can't be asked for, because it does not accept a connection.

    Args:
        endpoint: the server.
        error: what its driver raised.
        login: the parts of the URL, besides host and port, that may be wrong.
    """
    admin = endpoint.admin
    return ProviderError(
        redact(f"the {endpoint.kind} server does not accept a connection: {admin.url()}"),
        cause=redact(str(getattr(error, "cause", "") or error).strip(), admin.password),
        fix=f"check that it runs, and that its host, port, {login} are right",
    )
