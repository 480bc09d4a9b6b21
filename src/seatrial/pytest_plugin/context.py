"""One pytest item as the harness sees it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest


class ItemContext:
    """A `TestContext` over a pytest item."""

    def __init__(self, item: pytest.Item) -> None:
        self.id = item.nodeid
        self.failed = False
        self.sections: list[tuple[str, str]] = []
        self._cleanups: list[Callable[[], None]] = []

    def add_cleanup(self, cleanup: Callable[[], None]) -> None:
        """Call `cleanup` when the test is over, last added first."""
        self._cleanups.append(cleanup)

    def log(self, title: str, text: str) -> None:
        """Show `text` under `title` with the failure."""
        self.sections.append((title, text))

    def clean_up(self) -> None:
        """Run the cleanups, all of them, whatever one raises."""
        with ExitStack() as cleanups:
            for cleanup in self._cleanups:
                cleanups.callback(cleanup)
            self._cleanups = []
