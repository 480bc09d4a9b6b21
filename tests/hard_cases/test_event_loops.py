"""Async sessions on another event loop than the app's: of a thread, of pytest-asyncio, of anyio."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

ORDER = "insert into orders (customer_id) values (1) returning id"


@pytest.mark.parametrize(("isolation", "path"), [("reset", "log"), ("clone", "clone")])
def test_async_sessions_of_the_test_and_the_app_live_on_loops_of_their_own(sea, app_of, isolation, path):
    app = app_of("sqlalchemy-async")

    async def body() -> list[int]:
        session = sea.harness.session("adb")
        await session.execute(text(ORDER))
        await session.commit()
        app.commit(ORDER)
        return list(await session.scalars(text("select id from orders where id > 5")))

    for _ in range(2):
        with sea.one_test(isolation, "adb") as test:
            assert asyncio.run(body()) == [6, 7]
        assert (test.told, test.paths["adb"].path) == ([], path)


def test_async_sessions_on_two_loops_share_one_transaction_in_rollback_mode(sea, app_of):
    app = app_of("sqlalchemy-async")

    async def body() -> list[int]:
        session = sea.harness.session("adb")
        await session.execute(text(ORDER))
        await session.commit()
        app.commit(ORDER)
        return list(await session.scalars(text("select id from orders where id > 5")))

    for _ in range(2):
        with sea.one_test("rollback", "adb") as test:
            assert asyncio.run(body()) == [6, 7]
        assert (test.told, test.paths["adb"].path) == ([], "rollback")


def test_an_async_session_that_its_test_never_closes_is_closed_on_its_own_loop(sea, app_of):
    loop = asyncio.new_event_loop()
    try:
        with sea.one_test("reset", "adb") as test:
            loop.run_until_complete(sea.harness.session("adb").execute(text(ORDER)))
        assert test.told == []
        with sea.one_test("reset", "adb"):
            assert app_of("sqlalchemy-async").commit(ORDER) == [(6,)]
    finally:
        loop.close()


SERVICE = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["."]
        asyncio_default_fixture_loop_scope = "function"
        filterwarnings = ["error"]

        [tool.seatrial]
        app = "service:app"

        [tool.seatrial.resources.db]
        kind = "postgres"
        schema = "service:Base"
        override = "service:get_db"
        env = { DATABASE_URL = "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}" }
        """,
    "service.py": """
        import asyncio, os
        from fastapi import Depends, FastAPI
        from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

        engine = create_async_engine(os.environ["DATABASE_URL"])
        SessionLocal = async_sessionmaker(engine, expire_on_commit=False)

        class Base(DeclarativeBase):
            pass

        class Item(Base):
            __tablename__ = "item"
            id: Mapped[int] = mapped_column(primary_key=True)

        async def get_db():
            async with SessionLocal() as session:
                yield session

        app = FastAPI()

        @app.post("/items")
        async def create(db=Depends(get_db)):
            item = Item()
            db.add(item)
            await db.commit()
            return item.id

        async def later():
            await asyncio.sleep(0.01)
            async with SessionLocal() as session:
                session.add(Item())
                await session.commit()

        @app.post("/later", status_code=202)
        async def start():
            app.state.task = asyncio.create_task(later())
        """,
    "test_service.py": """
        import asyncio
        import pytest
        from sqlalchemy import text

        async def count(db):
            await db.rollback()
            return await db.scalar(text("select count(*) from item"))

        class Cases:
            @pytest.mark.parametrize("number", range(2))
            async def test_a_request_commits(self, async_client, db, number):
                assert (await async_client.post("/items")).json() == 1
                assert await count(db) == 1

            async def test_a_task_of_the_app_outlives_its_request(self, async_client, db):
                assert (await async_client.post("/later")).status_code == 202
                while not await count(db):
                    await asyncio.sleep(0.01)

            async def test_many_requests_at_once(self, async_client, db):
                got = await asyncio.gather(*(async_client.post("/items") for _ in range(5)))
                assert sorted(one.json() for one in got) == [1, 2, 3, 4, 5]
                assert await count(db) == 5

        @pytest.mark.asyncio
        class TestUnderPytestAsyncio(Cases):
            pass

        @pytest.mark.asyncio(loop_scope="class")
        class TestUnderPytestAsyncioWithOneLoopAClass(Cases):
            pass

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        class TestUnderAnyio(Cases):
            pass
        """,
}


def test_async_services_under_pytest_asyncio_and_anyio_leave_no_trace_and_no_warning(project):
    project.write(SERVICE)
    outcome = project.pytest("-q", "-p", "pytest_asyncio.plugin", "-p", "anyio.pytest_plugin", "--seatrial-explain")
    assert outcome.status == 0, outcome.text
    assert "12 passed" in outcome.text, outcome.text
    assert "warning" not in outcome.text.lower(), outcome.text
