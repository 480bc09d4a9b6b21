"""For a copy whose sessions are all in other processes: they begin, join and roll back by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from seatrial.resources.protocol import Copy, SupportsRollback


class RemoteSessions:
    """No session of ours: implements `Sessions` for tests that run elsewhere.

    In rollback mode those who run them hold the outer transaction, and have ended it before the check-in, which
    makes sure that nothing was committed.
    """

    awaited = False

    def __init__(self, copy: Copy) -> None:
        self.joinable = isinstance(copy, SupportsRollback)  # as far as it is up to us: whoever runs the tests knows
        self._copy = copy

    def begin(self, *, joined: bool) -> None:
        """Nothing is opened here."""
        del joined

    def session(self) -> Any:
        """A plain connection, for whoever asks in this process all the same."""
        return self._copy.client().value

    def settle(self, owner: object) -> bool:
        """There are no fixtures here."""
        del owner
        return False

    def leave(self, owner: object) -> None:
        """There are no fixtures here."""
        del owner

    def dependency(self) -> Callable[..., Any] | None:
        """There is no app here."""
        return None

    def backends(self) -> Sequence[int]:
        """None of the server's processes is ours."""
        return ()

    def end(self, *, gather: bool = True) -> tuple[str, ...]:
        """Nothing is open here."""
        del gather
        return ()

    def returning(self) -> Sequence[int]:
        """Nothing is to be put back."""
        return ()

    def send(self) -> None:
        """Nothing is to be put back."""

    def gather(self) -> None:
        """Nothing is to be put back."""

    def invalidate(self) -> None:
        """No pool is in this process; those of others see their connections end."""

    def close(self) -> None:
        """Nothing is open here."""
