"""The end of a test's own sessions: what they complain of, and what breaks, as errors that the test is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seatrial.core.redact import redact
from seatrial.errors import IsolationError, SeatrialError
from seatrial.sessions.protocol import Sessions


def end_sessions(sessions: Sessions, resource: str, told: list[SeatrialError]) -> tuple[str, ...]:
    """End them, whatever they raise; returns complaints, which are in `told` as well. They are not gathered yet."""
    try:
        complaints = sessions.end(gather=False)
    except SeatrialError as error:
        told.append(error)
        return ()
    except Exception as error:  # noqa: BLE001 - a connection that broke may say so in any driver's words
        told.append(
            IsolationError(
                f"a connection of the test's broke: {redact(str(error)).splitlines()[0]}",
                cause="the server was restarted, or somebody ended the connection",
                fix="see the server's log; the next test starts with new connections",
            )
        )
        sessions.invalidate()
        return ()
    told.extend(
        IsolationError(
            complaint,
            cause="in rollback mode the whole test is one transaction, and the test or its app left it",
            fix=f'mark the test with @pytest.mark.seatrial({resource}="reset")',
        )
        for complaint in complaints
    )
    return complaints


@contextmanager
def all_or_none(sessions: Sessions) -> Iterator[None]:
    """Connections on their way back into their first state are there at the end, whoever has gathered them before.

    Where what is done is broken off, as by a time-out of the test's, every connection is taken for stale: some may be
    on their way, and locked till they are gathered; some have not begun.
    """
    try:
        yield
        sessions.gather()
    except BaseException:
        sessions.gather()
        sessions.invalidate()
        raise
