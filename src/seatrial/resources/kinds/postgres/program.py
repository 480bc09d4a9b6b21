"""How PostgreSQL runs as a local process: its data folder, its command line, and whether it answers."""

from __future__ import annotations

import importlib.util
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from seatrial.core import ports
from seatrial.core.folders import digest
from seatrial.errors import ProviderError
from seatrial.resources.kinds.postgres.extensions import find
from seatrial.resources.kinds.postgres.locale import chosen
from seatrial.resources.protocol import Address, Endpoint, Launch, Run, ServerSpec
from seatrial.resources.versions import Versions, not_accepted

if TYPE_CHECKING:
    import psycopg

ROLE = "seatrial"
"""Our own superuser; the app's role is another one."""

DATABASE = "seatrial_own"
"""Where our own connections are: "postgres" is then a database like any other, which a project may name in `at`."""

_TUNING: Mapping[str, str] = {
    # Every commit is flushed to the operating system, which is what makes the write-ahead log readable at once;
    # with fsync off that costs next to nothing.
    "synchronous_commit": "on",
    "wal_level": "replica",
    # What one test writes must still be in the log when it is undone: segments are kept beyond any checkpoint ...
    "wal_keep_size": "128MB",
    # ... and yet the log has a bound, since the data folder may lie in shared memory.
    "max_wal_size": "256MB",
    "min_wal_size": "8MB",
    # A checkpoint costs a test time and helps nobody: the next start after a crash recovers in milliseconds.
    "checkpoint_timeout": "1h",
    # Those of our own clones would stand in the log of a test that fails, and say nothing of it.
    "log_checkpoints": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "200",
    "max_prepared_transactions": "64",
    "shared_buffers": "128MB",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] %d %a ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    # Hashed 4,096 times, which costs each login milliseconds (libpq on a busy machine: 19 in the place of 10). Fewer
    # would do here, but Go's lib/pq refuses them (it wants four digits), and pgjdbc (it wants what RFC 5802 asks for).
    "password_encryption": "scram-sha-256",
    "unix_socket_permissions": "0700",
}
SESSION = "seatrial.session"
"""A setting that a session of PostgreSQL is given with its first message, whatever its name."""
POOLED = "unsupported startup parameter"
"""PgBouncer's words for that message; where it is told to ignore what it does not know, the setting is missing."""
_VERSION = r"\d+(?:\.\d+|beta\d+|rc\d+|devel)?"
_NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}


def settings(*, durable: bool) -> dict[str, str]:
    """What we set on each server that we run."""
    return {**_TUNING, **({} if durable else _NOT_DURABLE)}


class PostgresProgram:
    """`protocol.Program` of PostgreSQL 14 and later."""

    executables: ClassVar[tuple[str, ...]] = ("postgres",)
    refuses_root: ClassVar[bool] = True

    def __init__(self) -> None:
        self._versions = Versions(rf"\(PostgreSQL\) *({_VERSION})")

    def version(self, binaries: Path) -> str:
        """The version of the server in this folder: "18.6", "19b1".

        Raises:
            ProviderError: it can't be run.
        """
        return _version(self._versions.of(binaries / self.executables[0]))

    def lacks(self, binaries: Path, spec: ServerSpec) -> str | None:
        """What `spec` asks for and this server (or our own way to talk to it) does not have, or None."""
        if importlib.util.find_spec("psycopg") is None:
            return "psycopg is not installed: pip install 'seatrial[postgres]'"
        if _major(self.version(binaries)) < 14:  # noqa: PLR2004 - the oldest that PostgreSQL itself still mends
            return "PostgreSQL before 14 is not supported"
        locale = chosen.read(spec.data)
        without = locale and locale.lacking(binaries / self.executables[0], _major(self.version(binaries)))
        if without:
            return without
        missing = find.missing(binaries, _major(self.version(binaries)), spec)
        return f"it lacks the extension{'s' * (len(missing) > 1)} {', '.join(missing)}" if missing else None

    def fingerprint(self, binaries: Path, spec: ServerSpec) -> str:  # noqa: ARG002 - nothing in a spec shapes a fresh folder
        """A key of everything that shapes a fresh data folder: the server and initdb's arguments."""
        version = self.version(binaries)
        size = (binaries / self.executables[0]).stat().st_size  # tells builds of one version apart
        return digest(f"{version} {size} {' '.join(_initdb(version, 'C.UTF-8'))} {DATABASE}", 16)

    def initialise(self, binaries: Path, data: Path, spec: ServerSpec, password: str, run: Run) -> None:  # noqa: ARG002 - see `fingerprint`
        """Create a fresh data folder with initdb, and our own database in it.

        Raises:
            ProviderError: initdb or the server failed; with its output.
        """
        version = self.version(binaries)
        secret = data.parent / "secret"
        secret.touch(mode=0o600)
        secret.write_text(f"{password}\n", encoding="ascii")
        where = ["-D", str(data), f"--pwfile={secret}"]
        try:
            try:
                run([str(binaries / "initdb"), *where, *_initdb(version, "C.UTF-8")])
            except ProviderError as error:
                if "invalid locale name" not in error.cause:
                    raise
                run([str(binaries / "initdb"), *where, *_initdb(version, "C")])
        finally:
            secret.unlink()
        alone = f'echo "CREATE DATABASE {DATABASE}" | exec "$0" --single -F -D "$1" template1'
        told = run(["/bin/sh", "-c", alone, str(binaries / self.executables[0]), str(data)])
        if "ERROR:" in told or "FATAL:" in told:
            raise ProviderError(
                "PostgreSQL can't make our own database in a fresh data folder",
                cause=told.strip(),
                fix="see whether the disk has room and the binaries are whole; `seatrial doctor` names other providers",
            )

    def launch(self, binaries: Path, data: Path, folder: Path, spec: ServerSpec, port: int, durable: bool) -> Launch:
        """The process to run: on the loopback interface and a socket in `folder` only.

        Files in which an earlier server wrote its pid are removed: the caller knows that none of ours runs, and the
        pid may by now be somebody else's, for whose sake PostgreSQL would refuse to start.
        """
        for left in (data / "postmaster.pid", *folder.glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)
        hosts = ["127.0.0.1"]
        if spec.at is not None and ports.has_ipv6():
            hosts.append("::1")  # "localhost" may mean either
        chosen = {
            "listen_addresses": ",".join(hosts),
            "port": str(port),
            "unix_socket_directories": str(folder),
            **settings(durable=durable),
        }
        if _major(self.version(binaries)) >= 16:  # noqa: PLR2004 - where the setting is new
            chosen["scram_iterations"] = "4096"  # for the roles of apps: `initdb` has set another
        chosen |= find.brought(binaries, _major(self.version(binaries)), spec, folder)
        argv = [str(binaries / self.executables[0]), "-D", str(data)]
        for name, value in chosen.items():
            argv += ["-c", f"{name}={value}"]
        return Launch(
            argv=tuple(argv),
            env={"LC_ALL": "C"},
            cwd=folder,
            log=folder / "log",
            stop_signal=signal.SIGINT,
            die_signal=signal.SIGQUIT,
        )

    def admin(self, port: int, password: str) -> Address:
        """The maintenance database of a server that we run."""
        return Address(
            scheme="postgresql", host="127.0.0.1", port=port, user=ROLE, password=password, database=DATABASE
        )

    def answers(self, endpoint: Endpoint) -> bool:
        """One real query. False while the server is still starting, or refuses us."""
        psycopg = _psycopg()
        try:
            with _connect(endpoint) as connection:
                return connection.execute("select 1").fetchone() == (1,)
        except psycopg.Error:
            return False

    def asked_version(self, endpoint: Endpoint) -> str:
        """The version that a running server tells.

        Raises:
            ProviderError: it can't be reached, or refuses us; in its own words. Or it is no server, but a pooler.
        """
        psycopg = _psycopg()
        try:
            with _connect(endpoint, f"-c {SESSION}=ours") as connection:
                row = connection.execute(
                    f"select current_setting('server_version'), current_setting('{SESSION}')"
                ).fetchone()
        except psycopg.errors.UndefinedObject:
            raise _pooled(endpoint) from None
        except psycopg.Error as error:
            if POOLED in str(error):
                raise _pooled(endpoint) from None
            raise not_accepted(endpoint, error) from None
        return _version(str(row[0])) if row else ""


def _pooled(endpoint: Endpoint) -> ProviderError:
    admin = endpoint.admin
    return ProviderError(
        f"a connection pooler, such as PgBouncer, answers at {admin.host}:{admin.port}",
        cause="sessions of a server have settings and locks of their own, and the pooler drops them",
        fix="write the address of PostgreSQL itself in `url`",
    )


def _connect(endpoint: Endpoint, options: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
    admin = endpoint.admin
    connection: psycopg.Connection[tuple[object, ...]] = _psycopg().connect(
        host=str(endpoint.socket_folder) if endpoint.socket_folder else admin.host,
        port=admin.port,
        user=admin.user,
        password=admin.password,
        dbname=admin.database,
        application_name="seatrial",
        options=options,
        connect_timeout=10,
        autocommit=True,
    )
    return connection


def _psycopg() -> ModuleType:
    try:
        return importlib.import_module("psycopg")
    except ImportError as error:
        raise ProviderError(
            "psycopg, with which Seatrial talks to PostgreSQL, can't be imported",
            cause=str(error),
            fix="pip install 'seatrial[postgres]'",
        ) from error


def _initdb(version: str, locale: str) -> list[str]:
    """What shapes a data folder. Sorting is by code point and the same on every machine; letters are Unicode's."""
    arguments = [f"-U{ROLE}", "-EUTF8", "--auth=scram-sha-256", "--no-sync", "--no-instructions", "--wal-segsize=1"]
    if _major(version) >= 17:  # noqa: PLR2004 - where PostgreSQL brings this locale along
        arguments += ["--locale=C", "--locale-provider=builtin", f"--builtin-locale={locale}"]
    else:
        arguments.append(f"--locale={locale}")
    if _major(version) >= 18:  # noqa: PLR2004 - where they became the default
        # With checksums the first read after a checkpoint writes to the log: readers would look like writers.
        arguments.append("--no-data-checksums")
    if _major(version) >= 16:  # noqa: PLR2004 - where the setting is new
        # Our own role's password is random, and only we log in with it: each of our connections is 2 ms faster.
        arguments.append("--set=scram_iterations=1")
    return arguments


def _version(text: str) -> str:
    """The version in "18.6 (Debian 18.6-1)", as PEP 440 writes it: 19beta1 is 19b1, 19devel is 19.dev0."""
    found = re.search(_VERSION, text)
    return found[0].replace("beta", "b").replace("devel", ".dev0") if found else ""


def _major(version: str) -> int:
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0
