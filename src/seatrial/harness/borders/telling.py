"""What happened to one resource, at its start and at the borders of tests, told as events."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from seatrial import events
from seatrial.core.redact import redact
from seatrial.isolation import restore
from seatrial.isolation.audit import listed
from seatrial.isolation.protocol import Lease
from seatrial.resources.protocol import Ended, Endpoint, Store, SupportsKeep, Undone


class Emitter:
    """Emits the events of one resource: what a test left behind, and what it took to undo it.

    Args:
        resource: its name in the configuration.
        emit: who is told.
    """

    def __init__(self, resource: str, emit: events.Emit) -> None:
        self._resource = resource
        self._emit = emit

    def serves(self, endpoint: Endpoint, attached: bool, seconds: float) -> None:
        """Its server runs."""
        self._emit(
            events.ServerReady(
                resource=self._resource,
                kind=endpoint.kind,
                provider=endpoint.provider,
                version=endpoint.version,
                attached=attached,
                seconds=seconds,
            )
        )

    def note(self, text: str) -> None:
        """Something that the user should read."""
        self._emit(events.Note(resource=self._resource, text=text))

    def unseen(self, names: Sequence[str]) -> None:
        """The audit has no right to read these, and can't vouch for them."""
        if names:
            text = f"the audit may not read {listed(names)}: what a test leaves there it can't tell"
            self.note(text)

    def late(self, test: str, late: Undone) -> None:
        """After its check-in `test` has written, or was still at work when the next test began."""
        if late.tables:
            self._emit(events.LateWrite(resource=self._resource, test=test, tables=late.tables))
        self.ended(test, late.ended)

    def uncommitted(self, who: str, *, awaited: bool) -> None:
        """What a wider fixture wrote by its own session is lost, since it did not commit."""
        commit = f"{'await ' if awaited else ''}{self._resource}.commit()"
        self.note(
            f"{who}: what `{self._resource}` had not committed when its set-up ended was rolled back, so no test "
            f"sees it. To keep it, end the set-up with `{commit}`"
        )

    def unlayered(self, who: str, tables: Sequence[str]) -> None:
        """What a wider fixture wrote was undone, since the copy takes no layers."""
        if tables:
            text = (
                f"{who} wrote to {', '.join(tables)}, and this kind of resource takes no layers: it was undone before "
                "the tests. Write it in a fixture of function scope, or in the seed"
            )
            self.note(text)

    def ended(self, test: str, connections: Sequence[Ended], *, until: str = "the test ends") -> None:
        """The fence has ended these connections, which `test` should have ended before `until`."""
        for one in connections:
            self._emit(
                events.ConnectionEnded(
                    resource=self._resource,
                    test=test,
                    pid=one.pid,
                    application=one.application,
                    query=redact(one.query),
                    state=one.state,
                    until=until,
                )
            )

    def disturbed(self, lease: Lease, held: Collection[int]) -> None:
        """Of the server processes `held`, which earlier tests hold, those that worked during this test."""
        for one in restore.at_work(lease.copy) if held else ():
            if one.pid in held:
                self._emit(
                    events.Disturbed(
                        resource=self._resource,
                        test=lease.test,
                        pid=one.pid,
                        application=one.application,
                        query=redact(one.query),
                    )
                )

    def not_kept(self, lease: Lease, store: Store | None, *, failed: bool) -> bool:
        """Whether there is nothing to keep of a test, or no way to; it is told then. Asked before its sessions end."""
        if not isinstance(store, SupportsKeep):
            why = "this kind of resource can't be kept"
        elif failed and restore.untouched(lease.copy):
            why = "the test has left nothing in it, so it is as at the start of every test"
        elif lease.joined:
            way = f'@pytest.mark.seatrial({self._resource}="reset")'
            why = f"a rollback leaves nothing to look at; mark the test with {way}, and run it again"
        else:
            return False
        self.note(f"{lease.test}: not kept: {why}")
        return True

    def checked_in(self, lease: Lease, undone: Undone, milliseconds: float, complaints: Sequence[str]) -> None:
        """The copy is back at its baseline."""
        self._emit(
            events.CheckedIn(
                resource=self._resource,
                test=lease.test,
                isolation=lease.isolation,
                path=undone.path,
                tables=undone.tables,
                rows=undone.rows,
                milliseconds=milliseconds,
                reason="; ".join((*undone.notes, *complaints)),
                read=undone.read,
            )
        )
