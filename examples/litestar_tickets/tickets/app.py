"""The service."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from litestar import Litestar, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath, FromQuery, JSONBody
from psycopg import AsyncConnection, errors
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

Db = NamedDependency[AsyncConnection[dict[str, Any]]]


@dataclass
class NewTicket:
    subject: str
    urgent: bool = False


@asynccontextmanager
async def pool(app: Litestar) -> AsyncIterator[None]:
    """One pool for the app, for as long as it runs."""
    options = {"row_factory": dict_row}
    async with AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=1, kwargs=options, open=False) as opened:
        app.state.pool = opened
        yield


async def connection(state: State) -> AsyncIterator[AsyncConnection[dict[str, Any]]]:
    """A connection for one request; it commits, unless the request fails."""
    async with state.pool.connection() as opened:
        yield opened


@post("/")
async def submit(data: JSONBody[NewTicket], db: Db) -> dict[str, int]:
    statement = "insert into tickets (subject, urgent) values (%s, %s) returning id"
    try:
        cursor = await db.execute(statement, [data.subject, data.urgent])
    except errors.CheckViolation:
        raise HTTPException("a subject is needed", status_code=422) from None
    return await cursor.fetchone()


@get("/{number:int}")
async def show(number: FromPath[int], db: Db) -> dict[str, Any]:
    found = await (await db.execute("select * from tickets where id = %s", [number])).fetchone()
    if found is None:
        raise NotFoundException("no such ticket")
    return found


@post("/next")
async def take(clerk: FromQuery[str], db: Db) -> dict[str, Any]:
    """The next ticket, for this clerk alone: one that somebody is taking is passed over."""
    statement = """
        update tickets set clerk = %s where id = (
            select id from tickets where clerk is null order by urgent desc, id limit 1 for update skip locked
        ) returning *
    """
    found = await (await db.execute(statement, [clerk])).fetchone()
    if found is None:
        raise NotFoundException("nothing to do")
    return found


tickets = Router("/tickets", route_handlers=[submit, show, take], dependencies={"db": Provide(connection)})
app = Litestar([tickets], lifespan=[pool])
