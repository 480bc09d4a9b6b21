"""anyio's plugin runs tests on trio unless told otherwise: an AsyncSession there is refused with what to do."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import trio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from seatrial.errors import IsolationError
from seatrial.resources.protocol import Address
from seatrial.sessions.choose import open_sessions


@pytest.mark.parametrize("joined", [False, True], ids=["reset", "rollback"])
def test_a_test_on_trio_is_told_that_its_async_session_needs_asyncio(tmp_path, joined):
    address = Address(scheme="sqlite", database=str(tmp_path / "a.db"))
    make = async_sessionmaker(create_async_engine(address.url("aiosqlite")))

    async def get_db():
        async with make() as session:
            yield session

    sessions = open_sessions(SimpleNamespace(address=address), {"sync": "psycopg", "async": "asyncpg"}, get_db)
    sessions.begin(joined=joined)

    async def body():
        with pytest.raises(IsolationError, match="no asyncio event loop") as caught:
            await sessions.session().execute(text("SELECT 1"))
        assert "anyio_backend" in caught.value.fix

    try:
        trio.run(body)
        sessions.end()
    finally:
        sessions.close()
