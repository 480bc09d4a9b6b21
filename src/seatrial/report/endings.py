"""What failed when the run was taken down: no test can be told, so the whole run is."""

from __future__ import annotations

from collections.abc import Iterable

from seatrial.errors import SeatrialError


class Endings:
    """Errors that came after the last test, of all workers."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, error: BaseException | None) -> None:
        """Take in an error, and those of ours that it came on top of."""
        if isinstance(error, SeatrialError):
            self.add(error.__context__)
            self.load([str(error)])

    def load(self, texts: Iterable[str]) -> None:
        """Take in what a worker has told; what several say is told once."""
        self.texts.extend(text for text in texts if text not in self.texts)
