"""Takes the place of a server while tests are joined: who connects here shares the one real connection."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seatrial.core import wait
from seatrial.errors import IsolationError
from seatrial.sessions.detours import APP, TEST
from seatrial.sessions.joining.outer import Outer, over
from seatrial.sessions.joining.schema import Schema
from seatrial.sessions.joining.statements import control
from seatrial.sessions.joining.turns import Threads
from seatrial.sessions.wire import opening
from seatrial.sessions.wire.client import MARK, Client
from seatrial.sessions.wire.messages import Stream
from seatrial.sessions.wire.upstream import Upstream

NESTS_AFTER = 0.1
"""Seconds: what a thread does with two connections can't be told from two threads."""
PATIENCE = 5.0
STATEMENT = 60.0
"""Seconds for a statement that holds the connection, before who waits for it is told."""
MOMENT = 0.5
"""Seconds that a statement gets to end, when its test has."""


class Switchboard:
    """Listens on two unix sockets, from the first joined test to the last.

    Args:
        connect: opens a real connection (psycopg's).
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._schema = Schema()
        self._upstream: Upstream | None = None
        self._outer: Outer | None = None
        self._turns = Threads(STATEMENT)
        self._clients: dict[int, Client] = {}
        self._lock = threading.Lock()
        self._number = 0
        self.folder = tempfile.mkdtemp(prefix="seatrial-")
        self._sockets = [self._listen(port) for port in (APP, TEST)]

    def begin(self) -> None:
        """A test starts."""
        self._turns = Threads(STATEMENT)
        self._outer = Outer(
            self._open,
            self._turns,
            schema=self._schema,
            begins=("BEGIN",),
            patience=PATIENCE,
            nests_after=NESTS_AFTER,
        )

    def end(self) -> tuple[str, ...]:
        """It is over: all is undone, and who is still in a transaction is disconnected. Returns complaints.

        Raises whatever a connection that broke makes the driver raise.
        """
        outer = self._outer
        if outer is None:
            return ()
        self._hush(outer)
        with self._turns:
            self._outer = None
        try:
            return outer.finish()
        except Exception:
            self.forget()
            raise
        finally:
            for client in self._all():
                if client.in_block:
                    client.dismiss(over())

    def outer(self) -> Outer:
        """The running test's transaction. Raises `IsolationError` where there is none."""
        if self._outer is None:
            raise over()
        return self._outer

    def upstream(self) -> Upstream:
        """The real connection, which `Outer.real` has opened."""
        if self._upstream is None:
            raise over()
        return self._upstream

    def backends(self) -> Sequence[int]:
        """The server process of the real connection."""
        return (self._upstream.pid,) if self._upstream is not None else ()

    def forget(self) -> None:
        """The real connection is of no more use."""
        upstream, self._upstream = self._upstream, None
        self._schema.forget()
        if upstream is not None:
            upstream.end()
        for client in self._all():
            client.dismiss(over())

    def close(self) -> None:
        """No more joined tests."""
        for listening in self._sockets:
            listening.close()
        self._outer = None
        self.forget()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _hush(self, outer: Outer) -> None:
        """What still runs is given a moment, then it is cancelled."""
        if wait.until(lambda: not self._sending(), timeout=MOMENT):
            return
        outer.complain("a statement was still running when the test ended; it was cancelled")
        for client in self._sending():
            client.dismiss(over())
        if self._upstream is not None:
            self._upstream.cancel()

    def _sending(self) -> list[Client]:
        return [client for client in self._all() if client.sending]

    def _all(self) -> list[Client]:
        with self._lock:
            return list(self._clients.values())

    def _open(self) -> Upstream:
        if self._upstream is None:
            connection = self._connect()
            self._schema.learn(connection)
            connection.rollback()
            self._upstream = Upstream(connection)
        return self._upstream

    def _listen(self, port: int) -> socket.socket:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(Path(self.folder, f".s.PGSQL.{port}")))
        listening.listen(128)
        name = f"seatrial joins connections ({port})"
        threading.Thread(target=self._accept, args=(listening, port), name=name, daemon=True).start()
        return listening

    def _accept(self, listening: socket.socket, port: int) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return  # it was closed
            threading.Thread(target=self._serve, args=(Stream(connection), port), daemon=True).start()

    def _serve(self, stream: Stream, port: int) -> None:
        try:
            wants = opening.read(stream)
        except EOFError:
            stream.close()
            return
        if wants.cancels:
            self._cancel(wants.cancels)
            stream.close()
            return
        with self._lock:
            self._number += 1
            number = self._number
        client = Client(stream, self, number, wants.settings, by_test=port == TEST)
        try:
            upstream = self._upstream or self.outer().real()
            self.outer()
            self._check(wants, upstream)
        except IsolationError as reason:
            client.dismiss(reason)
            return
        except Exception as error:  # noqa: BLE001 - whatever the driver raises, the client must hear of it
            client.dismiss(_unopened(error))
            return
        stream.send(opening.welcome(upstream.reported(), upstream.pid, number))
        with self._lock:
            self._clients[number] = client
        client.serve()
        with self._lock:
            del self._clients[number]

    def _check(self, wants: opening.Opening, upstream: Upstream) -> None:
        """Raises `IsolationError` where only a second real connection would do."""
        what = ""
        if wants.replication:
            what = "a connection for replication"
        elif wants.user and wants.user != upstream.user:
            what = f'a connection as role "{wants.user}"'
        if what:
            complaint = f"{what} was asked for, and in rollback mode all connections are the one of {upstream.user}"
            self.outer().complain(complaint)
            raise IsolationError(complaint, cause="a second real connection would be needed", fix=MARK)
        for name, value in wants.settings.items():
            found = control(f"SET {name} TO '{value}'")
            if found is not None and found.reason:
                self.outer().complain(found.refusal)
                raise IsolationError(found.refusal, cause=f"a connection was opened with {name}={value}", fix=MARK)

    def _cancel(self, number: int) -> None:
        with self._lock:
            client = self._clients.get(number)
        if client is not None and client.sending and self._upstream is not None:
            self._upstream.cancel()


def _unopened(error: Exception) -> IsolationError:
    return IsolationError(
        f"the connection that all of this test share could not be opened: {str(error).strip()}",
        cause="the server has ended, has no connection left, or refuses the role",
        fix="read what the server logged: pytest prints it with the failed test",
    )
