"""What each kind of ours is tried with: what fills it, what an app writes, and all that an app could see."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

import nats
import psycopg
import pymysql
import redis

from seatrial.resources.kinds.mysql.connection import arguments
from seatrial.resources.kinds.s3.connection import resource, session
from seatrial.resources.protocol import (
    SupportsClone,
    SupportsFence,
    SupportsKeep,
    SupportsLayers,
    SupportsReset,
    SupportsRollback,
    SupportsStay,
)

SCHEMA = "create table t (id integer primary key, v text); insert into t values (1, 'seeded')"


def sqlite_do(address, statement):
    database = address.database
    with contextlib.closing(sqlite3.connect(database, uri=database.startswith("file:"))) as connection:
        rows = connection.execute(statement).fetchall()
        connection.commit()
        return rows


def postgres_do(address, statement):
    with psycopg.connect(address.url()) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def mysql_do(address, statement):
    connected = contextlib.closing(pymysql.connect(**arguments(address), autocommit=True))
    with connected as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


MYSQL = {
    "fill": lambda target: target.execute(SCHEMA.replace("integer primary", "integer auto_increment primary")),
    "write": lambda address: mysql_do(address, "insert into t (v) values ('x')"),
    "read": lambda address: mysql_do(address, "select * from t order by id"),
}


def redis_write(address):
    with redis.Redis.from_url(address.url()) as app:
        app.incr("count")
        app.rpush("list", "x")


def redis_read(address):
    with redis.Redis.from_url(address.url()) as app:
        return {key: app.dump(key) for key in app.keys("*")}


def redis_fill(target):
    with target.connect() as app:
        app.set("count", 1)


def on_nats(address, work):
    async def connected():
        connection = await nats.connect(address.url())
        try:
            return await work(connection.jetstream())
        finally:
            await connection.close()

    return asyncio.run(connected())


async def nats_seed(js):
    await js.add_stream(name="s", subjects=["s"])
    await js.publish("s", b"seeded")


async def nats_read(js):
    return [(one.config.name, one.state.messages, one.state.last_seq) for one in await js.streams_info()]


SAMPLES = {
    "sqlite": {
        "fill": lambda target: target.execute(SCHEMA),
        "write": lambda address: sqlite_do(address, "insert into t (v) values ('x')"),
        "read": lambda address: sqlite_do(address, "select * from t order by id"),
    },
    "postgres": {
        "fill": lambda target: target.execute(SCHEMA.replace("integer primary", "serial primary")),
        "write": lambda address: postgres_do(address, "insert into t (id, v) select max(id) + 1, 'x' from t"),
        "read": lambda address: postgres_do(address, "select * from t order by id"),
    },
    "redis": {"fill": redis_fill, "write": redis_write, "read": redis_read},
    "valkey": {"fill": redis_fill, "write": redis_write, "read": redis_read},
    "mariadb": MYSQL,
    "mysql": MYSQL,
    "nats": {
        "fill": lambda target: on_nats(target.address, nats_seed),
        "write": lambda address: on_nats(address, lambda js: js.publish("s", b"x")),
        "read": lambda address: on_nats(address, nats_read),
    },
}


BOTO = session()


def s3_write(address):
    bucket = resource(address, BOTO).Bucket(address.database)
    bucket.put_object(Key="new/one", Body=b"x")
    bucket.put_object(Key="seeded", Body=b"other")


def s3_read(address):
    bucket = resource(address, BOTO).Bucket(address.database)
    return {one.key: one.get()["Body"].read() for one in bucket.objects.all()}


def s3_fill(target):
    target.connect().put_object(Key="seeded", Body=b"seed", Metadata={"by": "us"})


SAMPLES["s3"] = {"fill": s3_fill, "write": s3_write, "read": s3_read}
ALL = (SupportsReset, SupportsClone, SupportsLayers)
"""What the documentation promises of every kind but `command`."""
BESIDES = {
    "postgres": (SupportsRollback, SupportsFence, SupportsKeep, SupportsStay),
    "sqlite": (SupportsRollback, SupportsKeep),
    "mariadb": (SupportsFence, SupportsKeep, SupportsStay),
    "mysql": (SupportsFence, SupportsKeep, SupportsStay),
}
for name, sample in SAMPLES.items():
    sample["capabilities"] = (*ALL, *BESIDES.get(name, ()))
FROM_THE_MACHINE = ("mariadb", "mysql")
"""There is no wheel of them: where the machine has none, that is why their checks are skipped."""
