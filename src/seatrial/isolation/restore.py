"""The way back to the baseline that all strategies share, by what a copy can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seatrial.errors import IsolationError, NeedsClone, ServerLost
from seatrial.resources.protocol import (
    NOBODY,
    Copy,
    Ended,
    Returning,
    SupportsClone,
    SupportsFence,
    SupportsReady,
    SupportsReset,
    SupportsRollback,
    SupportsUndoAtOnce,
    Undone,
)


def impossible(copy: Copy, isolation: str) -> IsolationError:
    """The error for a copy that can't do what `isolation` asks; it names what the copy can do."""
    names = (("reset", SupportsReset), ("clone", SupportsClone), ("rollback", SupportsRollback))
    able = [name for name, capability in names if isinstance(copy, capability)]
    return IsolationError(
        f'isolation = "{isolation}" is not possible with this resource',
        cause=f"its copies can {' and '.join(able)}" if able else "its copies can't be brought back to a baseline",
        fix=f'write isolation = "{able[0]}"' if able else "take another kind of resource",
    )


def undo(copy: Copy, returning: Returning = NOBODY) -> Undone:
    """Undone in place, or a fresh clone where that is the only way: the reason is then in the notes.

    `returning` is gathered before anything is undone that has not been undone before.
    """
    done = undo_at_once(copy, returning)
    if done is not None:
        return done
    if not isinstance(copy, SupportsReset):
        return renew(copy)
    try:
        return copy.undo()
    except NeedsClone as reason:
        return replace(renew(copy), notes=(reason.what,))


def undo_at_once(copy: Copy, returning: Returning, *, rolled_back: bool = False) -> Undone | None:
    """Undone in one step, where the copy can do that; `returning` is gathered then, or otherwise."""
    done = None
    if isinstance(copy, SupportsUndoAtOnce):
        done = copy.undo_at_once(returning, rolled_back=rolled_back)
    returning.gather()
    return done


def renew(copy: Copy) -> Undone:
    """A fresh clone. Every connection to the copy is stale afterwards."""
    if not isinstance(copy, SupportsClone):
        raise impossible(copy, "clone")
    copy.renew()
    return Undone(path="clone")


def at_work(copy: Copy) -> Sequence[Ended]:
    """Who used it in this test: asked while the test's own connections are as it left them. Empty where it is lost."""
    try:
        return copy.used_since_checkout(())
    except ServerLost:
        return ()


def untouched(copy: Copy) -> bool:
    """Whether surely nobody has used it since the test began. False where that can't be told, or it is lost."""
    try:
        return (
            isinstance(copy, SupportsRollback)
            and not copy.used_since_checkout(())
            and not (isinstance(copy, SupportsReset) and copy.late_writes())
            and copy.uncommitted_only()
        )
    except ServerLost:
        return False


def ready(copy: Copy) -> Undone | None:
    """Have the copy at its baseline, and mark that a test begins. Returns what `late` does."""
    if isinstance(copy, SupportsReady) and copy.ready():
        return None
    undone = late(copy)
    copy.mark()
    return undone


def late(copy: Copy) -> Undone | None:
    """Undo what was written since the last check-in; `tables` of the result names where. None if nothing was.

    Whoever is still in a transaction is ended first: it would reach into the next test.
    """
    ended = copy.settle() if isinstance(copy, SupportsFence) else ()
    tables = copy.late_writes() if isinstance(copy, SupportsReset) else ()
    if tables:
        undone = undo(copy)
        ended = (*ended, *undone.ended)
        if undone.path != "nothing":  # else a catalog's pages were touched, as by a connection that ends
            return replace(undone, tables=tuple(filter(None, tables)), ended=ended)
    return Undone(path="nothing", ended=ended) if ended else None
