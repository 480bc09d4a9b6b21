"""How MySQL and MariaDB run as a local process: their data folder, their users, and whether they answer."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from seatrial.core import ports
from seatrial.core.folders import digest
from seatrial.resources.kinds.mysql.connection import OWNER, SCHEME, SOCKET, connect, library, literal
from seatrial.resources.protocol import Address, Endpoint, Launch, Run, ServerSpec
from seatrial.resources.versions import Versions, not_accepted

ROLE = "seatrial"
"""Our own user; the app's is another one."""
_USERS = "users.sql"
_ROOT = "root"
"""A server that is told so by name runs as root, where it would refuse otherwise."""
MARIADB = "MariaDB"
_FIRST_WITH_CAPACITY = (8, 0, 30)
"""The MySQL from which the size of the redo log has another name; 9 does not know the old one."""
_SETTINGS: Mapping[str, str] = {
    # The log that says what a test wrote: rows, whatever a session would like better, and only for as long as needed.
    "log-bin": "binlog",
    "server-id": "1",
    "binlog-format": "ROW",
    "max-binlog-size": "64M",
    # Whoever may create tables may create functions and triggers as well.
    "log-bin-trust-function-creators": "1",
    "skip-name-resolve": "1",
    "performance-schema": "OFF",
    "max-connections": "300",
    "character-set-server": "utf8mb4",
    "innodb-fast-shutdown": "2",
}
_NOT_DURABLE: Mapping[str, str] = {"sync-binlog": "0", "innodb-flush-log-at-trx-commit": "0"}
_DURABLE: Mapping[str, str] = {"sync-binlog": "1", "innodb-flush-log-at-trx-commit": "1"}


class MySQLProgram:
    """`protocol.Program` of MySQL 8.0 and later, and of MariaDB 10.5 and later.

    Args:
        executables: what the server is called, the best first.
        kind: the name of the kind: "mysql" takes a MariaDB only where no version is asked for.
    """

    refuses_root: ClassVar[bool] = False

    def __init__(self, executables: tuple[str, ...], kind: str) -> None:
        self.executables = executables
        self._kind = kind
        self._versions = Versions(r"\b(\d+\.\d+\.\d+)")

    def version(self, binaries: Path) -> str:
        """The version of the server in this folder: "10.11.6". Raises `ProviderError` if it can't be run."""
        return self._versions.of(self._program(binaries))

    def lacks(self, binaries: Path, spec: ServerSpec) -> str | None:
        """What `spec` asks for and this server, or this Python, does not have; or None."""
        if importlib.util.find_spec("pymysql") is None:
            return "PyMySQL is not installed: pip install 'seatrial[mysql]'"
        told, version = self._says(binaries), self.version(binaries)
        maria = MARIADB in told
        if maria and self._kind == "mysql" and spec.version:
            return f'it is MariaDB {version}, and version = "{spec.version}" means MySQL\'s own'
        if not maria and self._kind == "mariadb":
            return f"it is MySQL {version}"
        oldest = (10, 5) if maria else (8, 0)
        if tuple(map(int, version.split(".")))[:2] < oldest:
            return f"{MARIADB if maria else 'MySQL'} before {oldest[0]}.{oldest[1]} is not supported"
        if maria and _install_db(binaries) is None:
            return "there is no mariadb-install-db beside it, on PATH or in its scripts"
        return None

    def fingerprint(self, binaries: Path, spec: ServerSpec) -> str:
        """A key of everything that shapes a fresh data folder: the server, its users, its options."""
        users = spec.at and [spec.at.user, spec.at.password]
        return digest(f"{self._says(binaries)} {self._innodb(binaries)} {users}", 16)

    def initialise(self, binaries: Path, data: Path, spec: ServerSpec, password: str, run: Run) -> None:
        """Make a fresh data folder, and write down the users that each start makes sure of.

        Raises:
            ProviderError: it failed; with its output.
        """
        user = [f"--user={_ROOT}"] if os.geteuid() == 0 else []
        where = ["--no-defaults", f"--datadir={data}", *user, *self._innodb(binaries)]
        script = _install_db(binaries) if MARIADB in self._says(binaries) else None
        if script is not None:
            run([str(script), *where, "--auth-root-authentication-method=normal", "--skip-test-db"])
        else:
            run([str(self._program(binaries)), *where, "--initialize-insecure"])
        users = {ROLE: password}
        if spec.at is not None and spec.at.user:
            users[spec.at.user] = spec.at.password
        users.setdefault(OWNER, password)
        file = data / _USERS
        file.touch(mode=0o600)
        file.write_text("".join(_user(name, secret) for name, secret in users.items()), encoding="utf-8")

    def launch(self, binaries: Path, data: Path, folder: Path, spec: ServerSpec, port: int, durable: bool) -> Launch:
        """The process to run: on the loopback interface and a socket in `folder` only."""
        hosts = ["127.0.0.1"]
        if spec.at is not None and ports.has_ipv6():
            hosts.append("::1")  # "localhost" may mean either
        settings = {
            "datadir": str(data),
            "socket": str(folder / SOCKET),
            # Not the machine's: a server that starts there deletes the temporary tables of all others.
            "tmpdir": str(folder),
            "pid-file": str(folder / "pid"),
            "port": str(port),
            "bind-address": ",".join(hosts),
            "init-file": str(data / _USERS),
            **_SETTINGS,
            **(_DURABLE if durable else _NOT_DURABLE),
        }
        if os.geteuid() == 0:
            settings["user"] = _ROOT
        if MARIADB in self._says(binaries):
            settings["sync-frm"] = "1" if durable else "0"
            if not durable:
                settings["innodb-flush-method"] = "nosync"
        else:
            settings["mysqlx"] = "OFF"  # it would listen on a port of its own
            settings["secure-file-priv"] = ""  # a package's default may be a folder that we can't enter
        (folder / SOCKET).unlink(missing_ok=True)
        argv = [str(self._program(binaries)), "--no-defaults", *self._innodb(binaries)]
        return Launch(
            argv=(*argv, *(f"--{name}={value}" for name, value in settings.items())),
            env={"LC_ALL": "C"},
            cwd=folder,
            log=folder / "log",
            stop_signal=signal.SIGTERM,
            die_signal=signal.SIGKILL,
        )

    def admin(self, port: int, password: str) -> Address:
        """Our own user on a server that we run."""
        return Address(scheme=SCHEME, host="127.0.0.1", port=port, user=ROLE, password=password, database="mysql")

    def answers(self, endpoint: Endpoint) -> bool:
        """One real query in our database. False while the server is still starting, refuses us, or lacks it."""
        pymysql = library()
        try:
            with connect(endpoint, endpoint.admin.database, timeout=5) as connection, connection.cursor() as cursor:
                return bool(cursor.execute("SELECT 1"))
        except (pymysql.Error, OSError):
            return False

    def asked_version(self, endpoint: Endpoint) -> str:
        """The version that a running server tells. Raises `ProviderError` if it can't be reached, or refuses us."""
        pymysql = library()
        try:
            with connect(endpoint, endpoint.admin.database) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT VERSION()")
                (told,) = cursor.fetchone()
        except (pymysql.Error, OSError) as error:
            raise not_accepted(endpoint, error) from None
        return _number(str(told))

    def _program(self, binaries: Path) -> Path:
        return next((binaries / name for name in self.executables if (binaries / name).exists()), binaries / "mysqld")

    def _innodb(self, binaries: Path) -> list[str]:
        """Options that shape a fresh data folder, too: a small log makes a small folder."""
        old = MARIADB in self._says(binaries)
        old = old or tuple(map(int, self.version(binaries).split("."))) < _FIRST_WITH_CAPACITY
        log = "innodb-log-file-size" if old else "innodb-redo-log-capacity"
        return [f"--{log}=16M", "--innodb-buffer-pool-size=64M", "--innodb-doublewrite=0"]

    def _says(self, binaries: Path) -> str:
        return self._versions.words(self._program(binaries))


def _number(told: str) -> str:
    """The number in what a server says: "10.11.6" of "mysqld  Ver 10.11.6-MariaDB for ...", or of "8.0.36"."""
    found = re.search(r"\b(\d+\.\d+\.\d+)", told)
    return found[1] if found else ""


def _install_db(binaries: Path) -> Path | None:
    places = [binaries, binaries.parent / "bin", binaries.parent / "scripts"]
    path = os.pathsep.join([*map(str, places), os.environ.get("PATH", os.defpath)])
    found = shutil.which("mariadb-install-db", path=path) or shutil.which("mysql_install_db", path=path)
    return Path(found) if found else None


def _user(name: str, password: str) -> str:
    """Statements that each start runs; a line each, as an init file must have them."""
    account = f"{literal(name)}@'%'"
    statements = [f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {literal(password)};"]
    statements.append(f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION;")
    if name == ROLE:
        statements += [
            f"ALTER USER IF EXISTS root@{host} ACCOUNT LOCK;" for host in ("localhost", "'127.0.0.1'", "'::1'")
        ]
    return "\n".join(statements) + "\n"
