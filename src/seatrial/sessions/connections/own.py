"""The sync connections that we keep between tests, as good as new at each test's start."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from seatrial.resources.first_state import OWN, FirstState, Script, backend, finish
from seatrial.sessions.connections.uncommitted import wrote


class Own:
    """An engine of our own, and what is known about its connections.

    Opening a connection costs 2 to 8 ms, putting one back into its first state 0.1 ms: so PostgreSQL's are
    kept. Those of other dialects are opened anew.
    """

    def __init__(self, engine: Any) -> None:
        from sqlalchemy import event

        self.engine = engine
        self._keeps = engine.dialect.name == "postgresql"
        self._records: dict[int, Any] = {}
        self._first: dict[int, FirstState] = {}
        self._used: set[int] = set()
        self._begun: list[tuple[Any, Script]] = []
        event.listen(engine.pool, "connect", self._on_connect)
        event.listen(engine.pool, "checkout", self._on_checkout)
        event.listen(engine.pool, "checkin", self._on_checkin)

    def tidy(self) -> None:
        """A test is over, and its session closed: when they are gathered, connections are as they were opened."""
        used, self._used = self._used, set()
        for key in used:
            record = self._records.get(key)
            if record is None or record.dbapi_connection is None:
                continue
            if record.in_use:
                # The test still holds it: it is the fence's now, and never comes back to a later test.
                self._forget_all()
                return
            if not self._keeps:
                record.invalidate()
                continue
            try:
                script = self._first[key].begin_to_restore(record.dbapi_connection)
                if script is not None:
                    self._begun.append((record, script))
            except Exception:  # noqa: BLE001  # whatever the driver raises, a new connection is the answer
                record.invalidate()

    def send(self) -> None:
        """Have the server begin what `gather` waits for."""
        for _, script in self._begun:
            script.send()

    def gather(self) -> None:
        """Do what `tidy` has begun, all at once."""
        self.send()
        while self._begun:
            record, script = self._begun.pop()
            finish(script, record.invalidate)

    def returning(self) -> Sequence[int]:
        """Server process ids of the connections that `gather` is going to put back."""
        return [backend(record.driver_connection) for record, _ in self._begun]

    def backends(self) -> Sequence[int]:
        """Server process ids of the open connections; empty where the driver has none."""
        return [
            pid
            for record in self._records.values()
            if record.dbapi_connection is not None and (pid := backend(record.driver_connection))
        ]

    def wrote(self) -> bool:
        """Whether a connection that is in use has written something that it has not committed."""
        return any(record.in_use and wrote(record.driver_connection) for record in self._records.values())

    def invalidate(self) -> None:
        """The connections are stale; the next use opens new ones."""
        self._forget_all()

    def _forget_all(self) -> None:
        self.gather()
        with suppress(Exception):  # a connection that was ended from outside may raise when it is closed
            self.engine.dispose()
        self._records.clear()
        self._first.clear()
        self._used.clear()

    def _on_connect(self, connection: Any, record: Any) -> None:
        self._records[id(record)] = record
        record.info[OWN] = True
        if self._keeps:
            self._first[id(record)] = FirstState(connection)

    def _on_checkout(self, connection: Any, record: Any, proxy: Any) -> None:  # noqa: ARG002  # SQLAlchemy's signature
        self._used.add(id(record))

    def _on_checkin(self, connection: Any, record: Any) -> None:  # noqa: ARG002  # SQLAlchemy's signature
        if id(record) not in self._records:
            record.invalidate()  # it outlived its test, and so its pool: nobody will ask for it again
