"""Connections of ours to MySQL and MariaDB, and how names and texts are written in their SQL."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from seatrial.core.redact import redact
from seatrial.errors import ConfigError, ServerLost
from seatrial.resources.sharing import crowded

if TYPE_CHECKING:
    import pymysql

    from seatrial.resources.protocol import Address, Endpoint

SCHEME = "mysql"
"""Of both brands: it is what apps and their drivers are told."""
OWNER = "test"
"""The user that apps connect as on a server of ours. It may do everything: MySQL knows no owners of databases."""
SYSTEM = ("mysql", "sys", "information_schema", "performance_schema")
"""Databases that the server itself can't do without."""
SOCKET = "socket"
"""The server's unix socket, in its folder."""
SESSION = "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', foreign_key_checks = 0, time_zone = '+00:00'"
"""Rows are put back as they were: a zero stays a zero, a date that a strict mode refuses stays one, in any order."""
LOCKED = 1205
"""Somebody had a lock for longer than we wait."""
_GONE = (2003, 2006, 2013, 2014, 0, 1053, 1927, 4031)
"""The server has gone away, was shut down, or has ended the connection; or it was lost, or is out of step."""
_FULL = (1040, 1203)
"""The server has no connection left, for anybody or for this account."""


class Link:
    """One connection of ours, in autocommit mode. It is opened again when it was lost between two uses.

    On a server that is not ours it comes back with what is `lasting`: statements that take its locks again. Several
    threads may use it, one statement after the other.

    Args:
        endpoint: the server.
        setup: statements that each new connection begins with.
    """

    def __init__(self, endpoint: Endpoint, setup: Sequence[str] = ()) -> None:
        self.lasting: list[str] = []
        self._endpoint = endpoint
        self._setup = list(setup)
        self._database = ""
        self._connection: pymysql.Connection[Any] | None = None
        self._locked = False
        self._orphan = 0
        """The server's number of a connection that was broken off while it waited for an answer."""
        self._inside = False
        self._closed = False
        self._turn = threading.RLock()
        self._open()

    @property
    def pid(self) -> int:
        """The number by which the server knows it. Raises `ServerLost` where it was lost, and can't be had again."""
        with self._turn:
            if self._connection is None:
                self._open()
            assert self._connection is not None
            return int(self._connection.thread_id())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a query returns."""
        return list(self._ask(statement)[0])

    def run(self, statement: str) -> int:
        """Run a statement; returns how many rows it changed."""
        return self._ask(statement)[1]

    def use(self, database: str) -> None:
        """From now on names without a database mean this one's."""
        self.run(f"USE {identifier(database)}")
        self._database = database

    def always(self, statement: str) -> bool:
        """Run it now, and on each new connection, if the server lets us; whether it does."""
        with contextlib.suppress(library().MySQLError):
            self.run(statement)
            self._setup.append(statement)
            return True
        return False

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is run inside is committed together, or not at all."""
        with self._turn:
            self.run("START TRANSACTION")
            self._inside = True
            try:
                yield
                self.run("COMMIT")
            except BaseException:
                self._inside = False
                with contextlib.suppress(Exception):  # the first error is the one to tell
                    self.run("ROLLBACK")
                raise
            finally:
                self._inside = False

    def keep(self) -> None:
        """From now on the connection holds locks: on a server of ours, losing it is never mended in silence."""
        self._locked = True

    def beat(self) -> None:
        """Let the server know that we are there. What goes wrong is told by whoever uses the connection next."""
        if not self._turn.acquire(blocking=False):
            return  # it is being used
        try:
            if not self._closed:
                with contextlib.suppress(Exception):
                    self.run("DO 0")
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close it."""
        with self._turn:
            self._closed = True
            self._drop()

    def _ask(self, statement: str) -> tuple[Sequence[tuple[Any, ...]], int]:
        import pymysql

        with self._turn:
            if self._connection is None:
                self._open()
            assert self._connection is not None
            try:
                return _execute(self._connection, statement)
            except (pymysql.OperationalError, pymysql.InterfaceError) as error:
                if error.args and error.args[0] not in _GONE:
                    raise
                self._drop()
                if self._locked and self._endpoint.owned:
                    raise self._lost(error) from error
                if self._inside:
                    raise
            except pymysql.MySQLError:
                raise
            except BaseException:  # a time-out of the test's, say: an answer may be on its way, to nobody
                self._orphan = self._connection.thread_id()
                self._drop()
                raise
            self._open()
            assert self._connection is not None
            return _execute(self._connection, statement)

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):  # the server may be gone
                self._connection.close()
            self._connection = None

    def _open(self) -> None:
        import pymysql

        try:
            self._connection = crowded.connect(lambda: connect(self._endpoint), self._endpoint, _is_full)
            for statement in self._setup:
                _execute(self._connection, statement)
            orphan, self._orphan = self._orphan, 0
            if orphan:
                self._end(orphan)
            if self.lasting:
                self._take_again(broken_off=bool(orphan))
        except pymysql.OperationalError as error:
            self._drop()
            raise self._lost(error) from error
        except BaseException:  # nobody uses one that is half set up
            self._drop()
            raise

    def _end(self, orphan: int) -> None:
        """What the connection before was still at work on ends now, and its locks are free."""
        assert self._connection is not None
        with contextlib.suppress(library().MySQLError):  # it has ended by itself
            _execute(self._connection, f"KILL {orphan}")

    def _take_again(self, *, broken_off: bool) -> None:
        """`broken_off`: its database may be gone, for we were about to make it anew."""
        import pymysql

        assert self._connection is not None
        for statement in self.lasting:
            rows, _ = _execute(self._connection, statement)
            if rows and not rows[0][0]:
                raise self._taken()
        database, self._database = self._database, ""
        if database:
            try:
                _execute(self._connection, f"USE {identifier(database)}")
            except pymysql.OperationalError as error:
                if broken_off:
                    return
                raise self._taken() from error
            self._database = database

    def _taken(self) -> ServerLost:
        self._drop()
        admin = self._endpoint.admin
        return ServerLost(
            f"Seatrial's connection to {admin.host}:{admin.port} was lost, and another run has taken its databases",
            cause="somebody ended the connection, or the server had not heard from this machine for a minute",
            fix="run the tests again",
        )

    def _lost(self, error: Exception) -> ServerLost:
        admin = self._endpoint.admin
        return ServerLost(
            f"the {self._endpoint.kind} server at {admin.host}:{admin.port} does not answer",
            cause=redact(str(error), admin.password),
            fix="see its log: a test may have ended it",
        )


def _is_full(error: Exception) -> bool:
    return isinstance(error, library().OperationalError) and error.args[0] in _FULL


def connect(endpoint: Endpoint, database: str = "", *, timeout: float = 10) -> pymysql.Connection[Any]:
    """A connection of ours, through the server's socket where it is on this machine. Raises the driver's errors."""
    admin = endpoint.admin
    found = _socket(endpoint, timeout)  # first: where nobody listens yet, a connection is not worth its preparation
    connection: pymysql.Connection[Any] = library().connect(
        host=admin.host,
        port=admin.port,
        user=admin.user,
        password=admin.password,
        database=database or None,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=timeout,
        defer_connect=True,
    )
    connection.connect(found)
    return connection


def _socket(endpoint: Endpoint, timeout: float) -> socket.socket | None:
    """One that is connected to the server's: PyMySQL leaves open what it can't connect."""
    if endpoint.socket_folder is None:
        return None
    found = socket.socket(socket.AF_UNIX)
    try:
        found.settimeout(timeout)
        found.connect(str(endpoint.socket_folder / SOCKET))
    except OSError as error:
        found.close()
        raise library().OperationalError(2003, str(error)) from error
    return found


def plain(address: Address) -> pymysql.Connection[Any]:
    """A connection as an app has it: to one database, in transactions."""
    connection: pymysql.Connection[Any] = library().connect(**arguments(address))
    return connection


def arguments(address: Address) -> dict[str, Any]:
    """What PyMySQL is told of an address."""
    where = {"host": address.host, "port": address.port, "user": address.user, "password": address.password}
    return {**where, "database": address.database, "charset": "utf8mb4"}


def library() -> Any:
    """PyMySQL. Raises `ConfigError` where it is not installed.

    Its errors are caught by their names in the package: after `install_as_MySQLdb`, Django imports its modules a second
    time, as MySQLdb's, and `pymysql.err` is then the second.
    """
    try:
        import pymysql
    except ImportError as error:
        raise ConfigError(
            "PyMySQL, by which Seatrial speaks to MySQL and MariaDB, can't be imported",
            cause=str(error),
            fix="pip install 'seatrial[mysql]'",
        ) from error
    return pymysql


def identifier(*names: str) -> str:
    """A name, or a name with its database, quoted."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def literal(text: str) -> str:
    """A text, quoted, whatever the session's mode makes of backslashes."""
    return f"x'{text.encode().hex()}'" if "\\" in text else "'" + text.replace("'", "''") + "'"


def _execute(connection: pymysql.Connection[Any], statement: str) -> tuple[Sequence[tuple[Any, ...]], int]:
    with connection.cursor() as cursor:
        changed = cursor.execute(statement)
        return cursor.fetchall(), changed
