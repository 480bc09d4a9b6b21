"""The borders of a test's own sessions: what they complain of, what breaks, and what is broken off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seatrial.apps.observe.seen import in_one_line
from seatrial.errors import IsolationError, PastRollback, SeatrialError
from seatrial.resources.protocol import Copy, SupportsRecycle
from seatrial.sessions.protocol import Sessions


class Ending:
    """How tests come to their ends on one resource, which is named in what they are told; and start over after that.

    Where one is broken off, as by a time-out of the test's, nobody knows what its connections hold: every one is taken
    for stale, and those of before are ended when the next test begins, for one that nobody uses may have a lock.
    """

    def __init__(self, resource: str) -> None:
        self._resource = resource
        self._broken_off = False
        self._ended = True
        """Whether the sessions of the test that ends have been told."""

    def end(self, sessions: Sessions, told: list[SeatrialError], *, joined: bool) -> tuple[str, ...]:
        """End the sessions, whatever they raise; returns complaints, which are in `told` as well.

        They are not gathered yet. `joined`: whether they shared one transaction, which goes with its connection.
        """
        self._ended = True
        try:
            complaints = sessions.end(gather=False)
        except SeatrialError as error:
            told.append(error)
            return ()
        except Exception as error:  # noqa: BLE001 - a connection that broke may say so in any driver's words
            sessions.invalidate()
            told.append(self._broken(in_one_line(error), joined=joined))
            return ()
        told.extend(map(self._past_rollback, complaints))
        return complaints

    def _broken(self, said: str, *, joined: bool) -> IsolationError:
        if joined:  # the transaction went with it
            return self._past_rollback(f"a connection of the test's broke: {said}")
        return IsolationError(
            f"a connection of the test's broke: {said}",
            cause="the test was broken off in the middle of a statement, as by a time-out; or the server was "
            "restarted, or somebody ended the connection",
            fix="see the failure of the test, or the server's log; the next test starts with new connections",
        )

    def _past_rollback(self, complaint: str) -> PastRollback:
        return PastRollback(
            complaint,
            cause="in rollback mode the whole test is one transaction, and the test or its app left it or broke it",
            fix=f'mark the test with @pytest.mark.seatrial({self._resource}="reset")',
        )

    @contextmanager
    def all_or_none(self, sessions: Sessions) -> Iterator[None]:
        """Connections on their way back into their first state are there at the end, whoever has gathered them before.

        Where that is broken off some may be on their way, and locked till they are gathered; some have not begun.
        """
        self._broken_off, self._ended = True, False
        try:
            yield
            sessions.gather()
        except BaseException:
            if not self._ended:
                self.end(sessions, [], joined=False)
            sessions.gather()
            sessions.invalidate()
            raise
        self._broken_off = False

    def give_up(self, sessions: Sessions) -> None:
        """The test never comes to its end."""
        with self.all_or_none(sessions):
            self.end(sessions, [], joined=False)
        sessions.invalidate()
        self._broken_off = True

    def start_over(self, copy: Copy | None, sessions: Sessions) -> None:
        """A test begins: where the one before was broken off it has new connections, and nobody has any other.

        Until `started` it may be broken off itself.

        Raises:
            ServerLost: the server is gone.
        """
        if self._broken_off:
            sessions.invalidate()
            end_idle(copy, sessions)
        self._broken_off = True

    def started(self) -> None:
        """The test has its copy, and its connections lead there."""
        self._broken_off = False


def end_idle(copy: Copy | None, sessions: Sessions) -> None:
    """End all connections to a copy, where its server can do that."""
    if isinstance(copy, SupportsRecycle) and copy.end_idle(()):
        sessions.invalidate()
