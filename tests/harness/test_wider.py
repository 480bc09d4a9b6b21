"""The borders of a fixture of wider scope on a copy that can do less than ours."""

from __future__ import annotations

from seatrial import events
from seatrial.harness.borders.telling import Emitter
from seatrial.harness.borders.wider import Wider
from seatrial.resources.protocol import Address, Undone
from seatrial.sessions.remote import RemoteSessions


class Plain:
    """A copy of somebody's own kind, which can reset and no more."""

    address = Address(scheme="file", database="/drawer")

    def __init__(self) -> None:
        self.written: tuple[str, ...] = ()

    def undo(self) -> Undone:
        written, self.written = self.written, ()
        return Undone(path="copy" if written else "nothing", tables=written)

    def late_writes(self) -> tuple[str, ...]:
        return self.written


def test_what_a_wider_fixture_writes_where_there_are_no_layers_is_charged_to_it_and_not_to_the_test_before() -> None:
    told: list[events.Event] = []
    copy = Plain()
    wider = Wider(Emitter("desk", told.append))
    wider.start(copy, None)
    for name in ("reads", "writes"):
        copy.written = ("letter",) if name == "writes" else ()
        assert not wider.lay(name, name, RemoteSessions(copy))
    assert copy.written == ()
    [note] = told
    assert isinstance(note, events.Note)
    assert note.text.startswith("the fixture writes wrote to letter, and this kind of resource takes no layers: ")


class Broken(RemoteSessions):
    """Sessions whose connection is gone by the time the fixture is torn down."""

    def __init__(self, copy: Plain) -> None:
        super().__init__(copy)
        self.stale = False

    def leave(self, owner: object) -> None:
        raise OSError(owner)

    def invalidate(self) -> None:
        self.stale = True


def test_what_a_wider_fixture_wrote_is_undone_though_its_connection_broke_and_nobody_has_that_again() -> None:
    copy = Plain()
    sessions = Broken(copy)
    wider = Wider(Emitter("desk", events.ignore))
    wider.start(copy, None)
    copy.written = ("letter",)
    wider.lift("writes", "writes", sessions, sweep=True)
    assert copy.written == ()
    assert sessions.stale
