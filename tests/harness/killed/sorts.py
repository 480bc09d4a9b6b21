"""The kinds of server whose runs are killed: how a run fills one, what it looks for in it, what it leaves behind."""

from __future__ import annotations

import asyncio
import importlib
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from seatrial.resources.kinds.postgres.naming import Marker
from seatrial.resources.kinds.postgres.sharing.leases import PASSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """A kind of server, and what a run does with it."""

    kind: str
    files: Mapping[str, str]
    """The project's; {made} is another number each time, so that the template has to be made anew."""
    use: Callable[[Any], None]
    """Looks for what is left of other runs at the address of a plan, writes as an app would, and leaves it there."""
    load: Callable[[], object] = object
    """Imports what that needs, before runs are forked; by default nothing."""

    def write(self, folder, made):
        """The project, with its `made`th schema or seed."""
        for name, text in self.files.items():
            (folder / name).write_text(text.replace("{made}", str(made)))


def _files(kind, keys, **files):
    return {"seatrial.toml": f'[resources.db]\nkind = "{kind}"\n{keys}\n', **files}


def _schema(kind, text):
    return _files(kind, 'schema = "schema.sql"', **{"schema.sql": text})


def _seed(kind, text):
    return _files(kind, 'seed = "seeds:load"', **{"seeds.py": text})


def _use_postgres(plan):
    import psycopg

    with psycopg.connect(plan.address.url(), autocommit=True) as app:
        app.execute("create table if not exists written (id int)")
        others = app.execute("select datname, shobj_description(oid, 'pg_database') from pg_database").fetchall()
    passing = [name for name, told in others if (found := Marker.read(told)) and found.what in PASSING]
    assert passing == [plan.copy_name], passing


def _use_mariadb(plan):
    import pymysql

    admin = plan.server.endpoint.admin
    login = {"host": admin.host, "port": admin.port, "user": admin.user, "password": admin.password}
    with pymysql.connect(**login, database=plan.copy_name) as app, app.cursor() as cursor:
        cursor.execute("create table if not exists written (id int)")
        cursor.execute("select name from seatrial.`databases` where what in ('copy', 'building', 'layer')")
        assert cursor.fetchall() == ((plan.copy_name,),)


def _use_valkey(plan):
    import redis

    with redis.Redis.from_url(plan.address.url()) as app:
        assert app.keys() == [b"seed"]
        app.set("written", 1)


_STREAM = """import nats
async def load(url):
    connection = await nats.connect(url)
    await connection.jetstream().add_stream(name="seed", subjects=["{made}"])
    await connection.close()
"""


def _use_nats(plan):
    import nats

    async def use():
        connection = await nats.connect(plan.address.url())
        assert [stream.config.name for stream in await connection.jetstream().streams_info()] == ["seed"]
        await connection.jetstream().add_stream(name="written", subjects=["written"])
        await connection.close()

    asyncio.run(use())


def _s3(**where):
    import boto3

    return boto3.client("s3", region_name="us-east-1", **where)  # what S3 is, is read from files once


def _use_s3(plan):
    admin = plan.server.endpoint.admin
    login = {"aws_access_key_id": plan.address.user, "aws_secret_access_key": plan.address.password}
    app = _s3(endpoint_url=f"http://{admin.host}:{admin.port}", **login)
    assert [one["Key"] for one in app.list_objects_v2(Bucket=plan.copy_name)["Contents"]] == ["seed"]
    app.put_object(Bucket=plan.copy_name, Key="written", Body=b"")


_PROGRAM = """import socket, sys
kept = []
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    with listener.accept()[0] as peer:
        order, _, word = peer.recv(100).decode().partition(" ")
        if order == "reset":
            kept = [one for one in kept if one != "written"]
        if order == "add":
            kept.append(word)
        peer.sendall(" ".join(kept).encode())
"""
_CLIENT = """import socket
from urllib.parse import urlsplit
def ask(url, order):
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as program:
        program.sendall(order.encode())
        return program.recv(100).decode()
def load(url):
    assert ask(url, "add {made}") == "{made}"
def reset(url):
    ask(url, "reset")
"""


def _use_command(plan):
    def ask(order):
        with socket.create_connection((plan.address.host, plan.address.port)) as program:
            program.sendall(order.encode())
            return program.recv(100).decode()

    assert ask("tell").isdecimal()
    ask("add written")


POSTGRES = Sort(
    kind="postgres",
    files=_schema("postgres", "create table t{made} (id int); select pg_sleep(0.01);\n"),
    use=_use_postgres,
    load=partial(importlib.import_module, "psycopg"),
)
OTHERS = (
    Sort(
        kind="mariadb",
        files=_schema("mariadb", "create table t{made} (id int);\n"),
        use=_use_mariadb,
        load=partial(importlib.import_module, "pymysql"),
    ),
    Sort(
        kind="valkey",
        files=_seed("valkey", "def load(client):\n    client.set('seed', {made})\n"),
        use=_use_valkey,
        load=partial(importlib.import_module, "redis"),
    ),
    Sort(kind="nats", files=_seed("nats", _STREAM), use=_use_nats, load=partial(importlib.import_module, "nats")),
    Sort(
        kind="s3",
        files=_seed("s3", "def load(bucket):\n    bucket.put_object(Key='seed', Body=b'{made}')\n"),
        use=_use_s3,
        load=_s3,
    ),
    Sort(
        kind="command",
        files=_files(
            "command",
            f'command = "{sys.executable} -I -S program.py {{port}}"\nreset = "seeds:reset"\nseed = "seeds:load"',
            **{"program.py": _PROGRAM, "seeds.py": _CLIENT},
        ),
        use=_use_command,
    ),
)
