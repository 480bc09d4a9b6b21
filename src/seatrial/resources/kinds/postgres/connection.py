"""Our own connections to a PostgreSQL server: one script a round trip, reopened when somebody ended them."""

from __future__ import annotations

import select
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from seatrial.core import wait
from seatrial.core.redact import redact
from seatrial.errors import IsolationError, ServerLost
from seatrial.resources.sharing import crowded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import psycopg

    from seatrial.resources.protocol import Address, Endpoint

FIRST_OF_USERS = 16384
"""Objects below this oid came with the server."""

RESTART = 10.0
"""Seconds that a server gets to come back from a crash of one of its processes, which restarts all of them."""

FIRST_WITH_QUIET = 170000
"""`event_triggers = off` came with PostgreSQL 17, as did event triggers for logins, and `transaction_timeout`."""

_GONE = ("refused", "No such file", "could not translate", "timeout")
"""Nobody listens. Any other failure to connect may be a server that restarts after a crash of a backend."""
_REFUSALS = ("does not exist", "permission denied", "not currently accepting", "authentication", "pg_hba")
"""The server answers, and refuses the connection."""
_THROWN = ("CONTEXT:",)
"""The error came out of a function: an event trigger for logins does not let us in."""
_FULL = ("too many clients", "too many connections", "remaining connection slots")

SETTINGS: Mapping[str, str] = {
    "client_encoding": "UTF8",
    "client_min_messages": "error",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "array_nulls": "on",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmloption": "content",
    "timezone": "UTC",
    "row_security": "off",
    "jit": "off",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "lock_timeout": "0",
}
"""Values keep their meaning on the way from one database to another, whatever the roles and databases say."""


APPLICATION = "seatrial"
"""What our connections call themselves: that of a run which lives is known by it."""

AGAIN = 45.0
"""Seconds to wait for a lock that was ours, when a connection comes back: the server may not have noticed yet that the
old one is gone (see `NOTICE`), and whoever sweeps takes each lock for a moment."""

NOTICE: Mapping[str, str] = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "4"}
"""The server learns within half a minute that a machine is lost, and gives its locks to others."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one statement of a script gave."""

    rows: list[tuple[Any, ...]]
    count: int


def release(endpoint: Endpoint) -> int:
    """The server's release as PostgreSQL numbers it, before anybody has connected: 180000; 0 where it is not known."""
    major = endpoint.version.partition(".")[0]
    return int(major) * 10_000 if major.isdigit() else 0


class Link:
    """One connection of ours to one database, opened when it is first used.

    `run` sends a script of many statements in one round trip (PostgreSQL's simple query protocol) and
    returns the results of those that return rows or counts. Statements that are used again and again are
    prepared once, and again where their text is another: name them in `prepared`, and the script says EXECUTE.

    `losses` counts how often the connection was found closed by somebody else and opened again; each new one
    begins with the statements of `lasting`, which take the locks that went with the old.
    """

    def __init__(self, endpoint: Endpoint, database: str, settings: Mapping[str, str] | None = None) -> None:
        self.database = database
        self.losses = 0
        self.lasting: list[str] = []
        self._endpoint = endpoint
        untimed = {"transaction_timeout": "0"} if release(endpoint) >= FIRST_WITH_QUIET else {}
        self._settings = {**SETTINGS, **untimed, **(settings or {})}
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._prepared: dict[str, str] = {}
        self._quiet: Mapping[str, str] | None = None

    @property
    def pid(self) -> int:
        """The server's process for this connection; 0 while it is not open."""
        return self._connection.info.backend_pid if self._connection and not self._connection.closed else 0

    @property
    def version(self) -> int:
        """The server's version as PostgreSQL numbers it: 180006."""
        return self._open().info.server_version

    def quiet(self) -> Mapping[str, str]:
        """Settings with which a connection of ours calls nobody's event triggers, as far as our role may have them.

        A trigger for logins may write, even to a template; and where it can't, as in the reference, it lets nobody in.
        """
        if self._quiet is None:
            may = "select has_parameter_privilege(current_user, 'event_triggers', 'SET')"
            known = self.version >= FIRST_WITH_QUIET and self.rows(may)[0][0]
            self._quiet = {"event_triggers": "off"} if known else {}
        return self._quiet

    def run(
        self,
        script: str,
        prepared: Mapping[str, str] | None = None,
        *,
        again: bool = True,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[Result]:
        """Run a script; if our connection was ended meanwhile, once more on a new one, where that does no harm.

        Args:
            script: the statements.
            prepared: those that the script executes by name.
            again: whether the script may run twice, should the connection be lost before the answer is there.
            meanwhile: what to do here while the server works; it raises nothing of psycopg's.

        Raises:
            ServerLost: the server does not take connections any more.
            psycopg.Error: a statement failed. What was open is rolled back.
        """
        import psycopg

        attempts = 3 if again else 1  # a server that crashes lets one in, and throws one out again
        while True:
            connection = self._open()
            try:
                return self._send(connection, script, prepared or {}, meanwhile)
            except psycopg.Error:
                if not connection.closed:
                    self._roll_back(connection)
                    raise
                connection.close()
                self._connection = None
                self.losses += 1
                attempts -= 1
                if not attempts:
                    self._open()  # if the server is gone, that is the news
                    raise
            except BaseException:  # a time-out of the test's, say: an answer may be on its way, to nobody
                with suppress(psycopg.Error):
                    connection.cancel()
                self.close()
                raise

    def rows(self, script: str, prepared: Mapping[str, str] | None = None) -> list[tuple[Any, ...]]:
        """The rows of the script's last statement."""
        return self.run(script, prepared)[-1].rows

    def there(self) -> bool:
        """Whether nobody has ended it, without a round trip: it is opened again when it is next used."""
        import psycopg

        if self._connection is None or self._connection.closed:
            return False
        poll = select.poll()
        poll.register(self._connection.pgconn.socket, select.POLLIN)
        try:
            while poll.poll(0):
                self._connection.pgconn.consume_input()  # news of a setting, or the end
        except psycopg.OperationalError:
            self.close()
            self.losses += 1
            return False
        return True

    def close(self) -> None:
        """Close it; a later `run` opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(
        self,
        connection: psycopg.Connection[tuple[Any, ...]],
        script: str,
        prepared: Mapping[str, str],
        meanwhile: Callable[[], None] | None,
    ) -> list[Result]:
        import psycopg

        fresh = {name: text for name, text in prepared.items() if self._prepared.get(name) != text}
        if fresh:
            again = [f"DEALLOCATE {name}" for name in fresh if self._prepared.pop(name, None) is not None]
            try:
                _ask(connection, "; ".join([*again, *(f"PREPARE {name} {text}" for name, text in fresh.items())]))
            except psycopg.Error:
                if not connection.closed:  # those before the one that was refused have stayed
                    [known] = _ask(connection, "SELECT name FROM pg_prepared_statements")
                    self._prepared = {name: self._prepared.get(name, "") for (name,) in known.rows}
                raise
            self._prepared.update(fresh)
        return _ask(connection, script, meanwhile)

    def _open(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is not None and self._connection.closed:
            self._connection = None
            self.losses += 1
        if self._connection is None:
            self._connection = _connect_patiently(self._endpoint, self.database, self._settings)
            self._prepared = {}
            if self.lasting:
                self._take_again(self._connection)
        return self._connection

    def _take_again(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        missing = list(self.lasting)

        def taken() -> bool:
            found = _ask(connection, "; ".join(missing))
            missing[:] = [lock for lock, one in zip(missing, found, strict=True) if one.rows[0][0] is False]
            return not missing

        if not wait.until(taken, timeout=AGAIN, every=0.1):
            self.close()
            admin = self._endpoint.admin
            raise ServerLost(
                f"Seatrial's connection to {admin.host}:{admin.port} was lost, and another run has taken its databases",
                cause="somebody ended the connection, or the server had not heard from this machine for a minute",
                fix="run the tests again",
            )

    @staticmethod
    def _roll_back(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        import psycopg

        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.execute(b"ROLLBACK")


def _ask(
    connection: psycopg.Connection[tuple[Any, ...]], script: str, meanwhile: Callable[[], None] | None = None
) -> list[Result]:
    """One round trip, without a cursor: half of what a short statement costs would be psycopg's care for its own."""
    from psycopg import errors, generators
    from psycopg.adapt import Transformer
    from psycopg.pq import ExecStatus

    connection.pgconn.send_query(script.encode())
    if meanwhile is not None:
        connection.pgconn.flush()
        meanwhile()
    found = connection.wait(generators.execute(connection.pgconn))
    results = []
    loading = Transformer(connection)
    for one in found:
        if one.status == ExecStatus.TUPLES_OK:
            loading.set_pgresult(one)
            results.append(Result(loading.load_rows(0, one.ntuples, tuple), one.ntuples))
        elif one.status in (ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY):
            results.append(Result([], one.command_tuples or 0))
        else:
            raise errors.error_from_result(one)
    return results


@contextmanager
def closed_if_broken_off() -> Iterator[None]:
    """For psycopg's `connect`: broken off, as by a time-out, its connection would live on in the traceback's frames.

    The server then waits a minute for its login, and whoever drops a database waits for the server.
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception):
            traceback.clear_frames(error.__traceback__)
        raise


def connect(
    endpoint: Endpoint, address: Address, settings: Mapping[str, str] | None = None, application: str = ""
) -> psycopg.Connection[tuple[Any, ...]]:
    """A psycopg connection to `address`, by the server's unix socket where it has one."""
    import psycopg

    host = str(endpoint.socket_folder) if endpoint.socket_folder else address.host
    options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in (settings or {}).items())
    with closed_if_broken_off():
        return psycopg.connect(
            host=host,
            port=address.port,
            user=address.user,
            password=address.password,
            dbname=address.database,
            application_name=application or None,
            options=options or None,
            autocommit=bool(application),
            connect_timeout=10,
            prepare_threshold=None if application else 5,
        )


def _connect_patiently(
    endpoint: Endpoint, database: str, settings: Mapping[str, str]
) -> psycopg.Connection[tuple[Any, ...]]:
    address = replace(endpoint.admin, database=database)
    return crowded.connect(lambda: _connect_through_a_restart(endpoint, address, settings), endpoint, _is_full)


def _connect_through_a_restart(
    endpoint: Endpoint, address: Address, settings: Mapping[str, str]
) -> psycopg.Connection[tuple[Any, ...]]:
    import psycopg

    until = wait.now() + RESTART
    while True:
        try:
            return connect(endpoint, address, settings, application=APPLICATION)
        except psycopg.OperationalError as error:
            if _says(error, _THROWN):
                raise IsolationError(
                    f'an event trigger does not let us log in to the database "{address.database}"',
                    cause=redact(str(error), address.password),
                    fix=f"GRANT SET ON PARAMETER event_triggers TO {identifier(address.user)}; -- we switch it off",
                ) from error
            if _says(error, _REFUSALS) or _is_full(error):
                raise
            if wait.now() < until and not _says(error, _GONE):
                wait.pause(0.01)
                continue
            admin = endpoint.admin
            raise ServerLost(
                f"PostgreSQL at {admin.host}:{admin.port} does not take connections",
                cause=redact(str(error), admin.password),
                fix="see its log: a test may have ended it",
            ) from error


def _is_full(error: Exception) -> bool:
    return _says(error, _FULL) and not _says(error, _REFUSALS)


def _says(error: Exception, words: tuple[str, ...]) -> bool:
    return any(word in str(error) for word in words)


def identifier(name: str) -> str:
    """A name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string, quoted for a session with standard_conforming_strings."""
    return "'" + text.replace("'", "''") + "'"


MAY_END = """(current_setting('is_superuser') = 'on' or not r.rolsuper
  and (pg_has_role(r.oid, 'usage') or pg_has_role('pg_signal_backend', 'usage')))"""
"""Whether our role may end the connections of the role `r`."""


def end_others(link: Link, database: str) -> bool:
    """End whoever is connected to a database; whether anybody is there whom our role may not end.

    That may be a worker of the server's that cleans up, and will be gone soon.
    """
    ended = link.rows(
        f"""select case when {MAY_END} then pg_terminate_backend(a.pid) end
        from pg_stat_activity a left join pg_roles r on r.oid = a.usesysid
        where a.datname = {literal(database)} and a.pid <> pg_backend_pid()"""
    )
    return (None,) in ended
