"""Rollback with an async app, under each test runner and scope of loop: one transaction, one connection, no warning.

App and test reach one connection of asyncpg or psycopg, which belongs to the loop that opened it. Whichever loop a
test has: nothing is "attached to a different loop", and no connection is left in the server.
"""

from __future__ import annotations

import pytest
from tests.loop_scopes import PYTEST_ASYNCIO

PROJECT = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["."]
        filterwarnings = ["error"]

        [tool.seatrial]
        app = "service:app"

        [tool.seatrial.resources.db]
        kind = "postgres"
        schema = "service:Base"
        override = "service:get_db"
        isolation = "rollback"
        env = { DATABASE_URL = "postgresql+DRIVER://{user}:{password}@{host}:{port}/{database}" }
        """,
    "service.py": """
        import asyncio, os
        from contextlib import asynccontextmanager
        from typing import Annotated
        from fastapi import Depends, FastAPI, HTTPException
        from sqlalchemy import func, select, text
        from sqlalchemy.exc import IntegrityError
        from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

        engine = create_async_engine(os.environ["DATABASE_URL"])
        new_session = async_sessionmaker(engine, expire_on_commit=False)

        class Base(DeclarativeBase):
            pass

        class Item(Base):
            __tablename__ = "item"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(unique=True)

        async def get_db():
            async with new_session() as session:
                yield session

        starts = []

        @asynccontextmanager
        async def lifespan(app):
            starts.append(app)
            async with engine.connect() as connection:      # as services do that make sure of their database
                await connection.execute(text("select 1"))
            yield
            await engine.dispose()

        app = FastAPI(lifespan=lifespan)
        Db = Annotated[AsyncSession, Depends(get_db)]

        @app.post("/items/{name}")
        async def create(name: str, db: Db) -> int:
            db.add(item := Item(name=name))
            try:
                await db.commit()
            except IntegrityError:
                await db.rollback()
                raise HTTPException(409) from None
            return item.id

        @app.get("/items")
        async def count(db: Db) -> int:
            return await db.scalar(select(func.count()).select_from(Item))

        @app.get("/slow")
        async def slow(db: Db) -> None:
            await db.execute(text("select pg_sleep(600)"))

        @app.get("/not-by-the-dependency")
        async def by_hand() -> int:
            async with new_session() as session:
                return await session.scalar(select(func.count()).select_from(Item))
        """,
    "cases.py": """
        import asyncio
        import pytest
        from service import Item, by_hand, starts
        from sqlalchemy import func, select, text

        NUMBER = select(func.count()).select_from(Item)

        class Cases:
            @pytest.mark.parametrize("number", range(2))
            async def test_app_and_test_are_in_one_transaction(self, async_client, db, number):
                db.add(Item(name="of the test"))
                await db.commit()
                assert (await async_client.post("/items/lamp")).json() == 2
                assert (await async_client.get("/items")).json() == 2
                assert await db.scalar(NUMBER) == 2
                assert (await async_client.get("/not-by-the-dependency")).json() == 2

            async def test_an_expected_error_poisons_nothing(self, async_client, db):
                assert (await async_client.post("/items/lamp")).status_code == 200
                assert (await async_client.post("/items/lamp")).status_code == 409
                assert (await async_client.post("/items/torch")).status_code == 200
                assert await db.scalar(NUMBER) == 2

            async def test_requests_at_once_take_turns(self, async_client, db):
                answers = await asyncio.gather(*(async_client.post(f"/items/{n}") for n in range(4)))
                assert sorted(answer.json() for answer in answers) == [1, 2, 3, 4]
                assert await db.scalar(NUMBER) == 4

            async def test_both_clients_and_a_loop_that_stands_still(self, client, async_client, db):
                db.add(Item(name="of the test"))
                await db.commit()
                assert client.post("/items/lamp").json() == 2
                assert (await async_client.get("/items")).json() == 2

            async def test_a_request_that_is_cancelled_leaves_the_rest_whole(self, async_client, db):
                db.add(Item(name="lamp"))
                await db.commit()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await async_client.get("/slow")
                assert (await async_client.get("/items")).json() == 1
                assert await db.scalar(NUMBER) == 1

            async def test_the_lifespan_ran_once(self, async_client):
                assert len(starts) <= 1

            async def test_the_test_may_do_without_db(self, async_client):
                assert (await async_client.post("/items/lamp")).json() == 1

            async def test_and_without_the_app(self, db):
                db.add(Item(name="lamp"))
                await db.commit()
                assert await db.scalar(NUMBER) == 1

            async def test_a_transaction_that_is_left_open(self, db):
                db.add(Item(name="lamp"))
                await db.flush()

            async def test_the_app_s_own_code_in_the_test_s_loop(self, db):
                db.add(Item(name="lamp"))
                await db.commit()
                assert await by_hand() == 1

            async def test_no_connection_but_one_is_there(self, async_client, db):
                await async_client.post("/items/lamp")
                mine = text(
                    "select count(*) from pg_stat_activity where datname = current_database()"
                    " and backend_type = 'client backend' and application_name not like 'seatrial%'"
                )
                assert await db.scalar(mine) <= 2
        """,
}

ANYIO = """
    import pytest
    from cases import Cases

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    class TestAsyncio(Cases):
        pass

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"])
    class TestUvloop(Cases):
        pass
"""

UVLOOP = """
    import asyncio, uvloop
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
"""

RUNS = {
    "pytest-asyncio": ({"test_it.py": PYTEST_ASYNCIO}, "pytest_asyncio.plugin", 5),
    "pytest-asyncio on uvloop": ({"test_it.py": PYTEST_ASYNCIO, "conftest.py": UVLOOP}, "pytest_asyncio.plugin", 5),
    "anyio": ({"test_it.py": ANYIO}, "anyio.pytest_plugin", 2),
}


@pytest.mark.parametrize(
    ("run", "driver"),
    [
        pytest.param("pytest-asyncio", "asyncpg", marks=pytest.mark.nightly),
        ("pytest-asyncio", "psycopg"),
        ("anyio", "asyncpg"),  # uvloop's as well
        pytest.param("pytest-asyncio on uvloop", "asyncpg", marks=pytest.mark.nightly),
    ],
)
def test_every_runner_and_loop(project, run, driver):
    files, plugin, classes = RUNS[run]
    configuration = PROJECT["pyproject.toml"].replace("DRIVER", driver)
    project.write({**PROJECT, "pyproject.toml": configuration, **files})
    scope = ["-o", "asyncio_default_fixture_loop_scope=function"] if "asyncio" in plugin else []
    outcome = project.pytest("-q", "-p", plugin, *scope)
    assert outcome.status == 0, outcome.text
    assert outcome.counts() == {"passed": classes * 12}, outcome.text
    for word in ("warning", "different loop", "never awaited", "left a connection"):
        assert word not in outcome.text.lower(), outcome.text
