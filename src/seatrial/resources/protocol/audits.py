"""The protocols of audits: how a copy is compared with its baseline, by code that the undo does not use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Difference(Protocol):
    """One difference from the baseline. `str()` says what it is, which rows, and who wrote it if that is known."""

    @property
    def kind(self) -> str:
        """What differs: "rows", "sequence", "role"."""
        ...

    @property
    def name(self) -> str:
        """The name of the table, sequence, ...: "public.users"."""
        ...

    @property
    def writer(self) -> str:
        """Which transaction or connection made the difference; empty if that can't be known."""
        ...


class Reading(Protocol):
    """What an `Auditor` has read of a copy."""

    @property
    def unseen(self) -> Sequence[str]:
        """What it had no right to read, and can't vouch for."""
        ...


class Auditor(Protocol):
    """Reads the whole of one copy, with code that the undo does not use, so that it can find mistakes of the undo."""

    def baseline(self) -> Reading:
        """Read everything that is in the copy now. `differences` compares with this later."""
        ...

    def differences(self, baseline: Any) -> Sequence[Difference]:
        """Read the copy again and return what differs from `baseline`. Raises `IsolationError` if it can't be read."""
        ...
