"""One way to isolate tests: what it does before and after a test, timed in parts."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

Step = Callable[[], object]

UNDO = "check-in alone, as --seatrial-explain tells it"
ISOLATION = "before and after the test"
RECONNECTED = "the same, and the app's next connection"
WHOLE = "the same, and the test's own work"


def nothing() -> None:
    """No step."""


@dataclass(slots=True, kw_only=True)
class Peer:
    """Callables, so that a peer is a few lines; those that say so are not timed."""

    name: str
    does: str
    """What its steps are, for the table."""
    work: Step
    """The test's own work."""
    after: Step
    before: Step = nothing
    reconnect: Step | None = None
    """The app asks its pool for a connection, where `after` left it none."""
    checked_in: Callable[[], float] | None = None
    """Milliseconds of the last check-in, as the product tells them."""
    rest: Step = nothing
    """After each test, not timed."""
    settle: Step = nothing
    """Before a round, not timed."""
    tidy: Step = nothing
    """After a round, not timed."""
    close: Step = nothing
    tests: int = 20
    """Tests of one round."""
    rare: bool = False
    """A test takes seconds: it takes part in every fifth round."""
    paths: Counter[str] = field(default_factory=Counter)
    """How its tests were undone, as the product tells it."""


def one_test(peer: Peer) -> dict[str, float]:
    """Milliseconds of one test, by what is counted."""
    clock = time.perf_counter
    at = [clock()]
    for step in (peer.before, peer.work, peer.after, peer.reconnect or nothing):
        step()
        at.append(clock())
    before, work, after, reconnect = ((end - start) * 1e3 for start, end in itertools.pairwise(at))
    found = {ISOLATION: before + after, WHOLE: before + work + after}
    if peer.checked_in is not None:
        found[UNDO] = peer.checked_in()
    if peer.reconnect is not None:
        found[RECONNECTED] = before + after + reconnect
        found[WHOLE] += reconnect
    peer.rest()
    return found
