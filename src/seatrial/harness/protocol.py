"""All that a harness asks of a test runner, so that pytest, Vitest and a script are equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class TestContext(Protocol):
    """One test, as its runner sees it."""

    @property
    def id(self) -> str:
        """A name that is unique in the run: "tests/test_users.py::test_create"."""
        ...

    @property
    def failed(self) -> bool:
        """Whether the test has failed; asked after its end."""
        ...

    def add_cleanup(self, cleanup: Callable[[], None]) -> None:
        """Call `cleanup` when the test is over, before its copies are checked in."""
        ...

    def log(self, title: str, text: str) -> None:
        """Show `text` with the test if it fails."""
        ...
