"""Who may use a shared connection now: threads wait by sleeping, tasks by awaiting."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, TypeVar

from seatrial.errors import IsolationError
from seatrial.sessions.connections.home import Home

T = TypeVar("T")


class Turns(Protocol):
    """A lock around each use of the connection, a way to wait for another's turn, and who is asking."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def wait(self) -> None:
        """A moment, outside the lock."""
        ...

    def flow(self) -> object:
        """The thread or task that is asking. One flow can't wait for itself."""
        ...

    def at_home(self, call: Callable[[], T]) -> T:
        """Make a call where the connection lives."""
        ...


class Threads:
    """Turns of threads.

    Args:
        patience: seconds after which a statement of another thread that does not end is an `IsolationError`; for
            ever, where nothing is said: a statement may take long.
    """

    def __init__(self, patience: float = -1) -> None:
        self._lock = threading.Lock()
        self._patience = patience

    def __enter__(self) -> Self:
        if not self._lock.acquire(timeout=self._patience):
            raise IsolationError(
                f"a statement on another connection did not end within {self._patience:g} seconds",
                cause="in rollback mode all sessions share one connection, and a COPY or a long statement holds it",
                fix='mark the test with @pytest.mark.seatrial(NAME="reset"): then each session has its own',
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def wait(self) -> None:
        """Let others go on for a millisecond."""
        time.sleep(0.001)

    def flow(self) -> object:
        """Who is asking."""
        return threading.get_ident()

    def at_home(self, call: Callable[[], T]) -> T:
        """A connection of a sync driver lives in no thread."""
        return call()


class Tasks:
    """Turns of asyncio tasks, on whichever loops: the connection lives on `home`, and what is done here is done there.

    Args:
        home: the loop of the connection.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = asyncio.Lock()

    def __enter__(self) -> Self:
        from sqlalchemy.util import await_only

        await_only(self._lock.acquire())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def wait(self) -> None:
        """Let others go on for a millisecond."""
        from sqlalchemy.util import await_only

        await_only(asyncio.sleep(0.001))

    def flow(self) -> object:
        """Who is asking."""
        return self._home.asker()

    def at_home(self, call: Callable[[], T]) -> T:
        """Make it on the loop of the connection, and await that."""
        from sqlalchemy.util.concurrency import in_greenlet

        # Outside of greenlets nothing can be awaited, and SQLAlchemy asks for nothing that would have to be.
        return self._home.call(call) if in_greenlet() else call()
