"""A transaction of one joined connection, and the savepoints that the app has made in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from seatrial.sessions.joining.statements import Savepoint


@dataclass(slots=True, kw_only=True, eq=False)
class Open:
    """A transaction of one joined connection: a savepoint in the stack."""

    owner: object
    by_test: bool
    flow: object
    name: str
    wrote: bool = False
    abandoned: bool = False
    """Whether its connection was given up without a word (a cancelled task): it is undone at the next turn."""
    holds: str = ""
    """What lies inside it of another connection's, and would be undone with it."""
    reads_on: bool = False
    """Whether it has declared a cursor."""
    inner: list[str] = field(default_factory=list)
    """Savepoints that the app has made in it, the innermost last."""
    failed: bool = False
    """Whether it has failed, and the one transaction of the test was brought back from that for another's sake."""

    def note(self, done: Savepoint) -> None:
        """A statement about a savepoint has gone well."""
        if done.made:
            self.inner.append(done.name)
        elif done.name in self.inner:  # the last of this name, and all that are inside it
            last = len(self.inner) - 1 - self.inner[::-1].index(done.name)
            del self.inner[last + 1 if done.back else last :]
