"""One service that reaches its database in every way there is: committed rows of each are undone, ids restart.

Each way keeps its pool or its engine from the first test to the last, as services do. Tortoise and Piccolo are told
by the exported variable alone.
"""

from __future__ import annotations

SERVICE = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["."]
        filterwarnings = ["error"]

        [tool.seatrial]
        app = "service.main:app"

        [tool.seatrial.resources.db]
        kind = "postgres"
        schema = "schema.sql"

        [tool.seatrial.resources.second]
        kind = "postgres"
        schema = "schema.sql"
        env = "SECOND_URL"
        """,
    "schema.sql": "create table notes (id serial primary key, text text not null);\n",
    "service/__init__.py": "",
    "service/sync.py": """
        import os

        import psycopg
        import psycopg2
        import psycopg2.pool
        from psycopg_pool import ConnectionPool
        from sqlalchemy import MetaData, Table, create_engine, insert, select, func
        from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker
        from sqlmodel import Field, Session as SQLModelSession, SQLModel, select as sqlmodel_select

        URL = os.environ["DATABASE_URL"]
        engine = create_engine(URL.replace("postgresql:", "postgresql+psycopg:"))
        old_driver = create_engine(URL.replace("postgresql:", "postgresql+psycopg2:"))
        second = create_engine(os.environ["SECOND_URL"].replace("postgresql:", "postgresql+psycopg:"))


        class Base(DeclarativeBase): ...


        class Note(Base):
            __tablename__ = "notes"
            id: Mapped[int] = mapped_column(primary_key=True)
            text: Mapped[str]


        class Other(DeclarativeBase): ...


        class OtherNote(Other):
            __tablename__ = "notes"
            id: Mapped[int] = mapped_column(primary_key=True)
            text: Mapped[str]


        class ModelNote(SQLModel, table=True):
            __tablename__ = "notes"
            id: int | None = Field(default=None, primary_key=True)
            text: str


        scoped = scoped_session(sessionmaker(engine))
        bound = sessionmaker(binds={Base: engine, Other: second})
        table = Table("notes", MetaData(), autoload_with=None, *[c._copy() for c in Note.__table__.columns])
        pool3 = ConnectionPool(URL, min_size=1, open=False)
        pool2 = psycopg2.pool.ThreadedConnectionPool(0, 4, URL)


        def by_session():
            with Session(engine) as session:
                session.add(note := Note(text="a"))
                session.commit()
                return [note.id, session.scalar(select(func.count()).select_from(Note))]


        def by_scoped_session():
            scoped.add(note := Note(text="a"))
            scoped.commit()
            found = [note.id, scoped.query(Note).count()]
            scoped.remove()
            return found


        def by_core():
            with engine.begin() as connection:
                (made,) = connection.execute(insert(table).values(text="a")).inserted_primary_key
            with old_driver.connect() as connection:
                return [made, connection.scalar(select(func.count()).select_from(table))]


        def by_binds():
            with bound() as session:
                session.add_all([note := Note(text="a"), other := OtherNote(text="b")])
                session.commit()
                assert set(session.scalars(select(Note.text))) == {"a"}
                assert set(session.scalars(select(OtherNote.text))) == {"b"}
                return [note.id, other.id]


        def by_sqlmodel():
            with SQLModelSession(engine) as session:
                session.add(note := ModelNote(text="a"))
                session.commit()
                return [note.id, len(session.exec(sqlmodel_select(ModelNote)).all())]


        def by_psycopg():
            with pool3.connection() as connection:
                made = connection.execute("insert into notes (text) values ('a') returning id").fetchone()[0]
            with psycopg.connect(URL) as connection:
                return [made, connection.execute("select count(*) from notes").fetchone()[0]]


        def by_psycopg2():
            connection = pool2.getconn()
            with connection, connection.cursor() as cursor:
                cursor.execute("insert into notes (text) values ('a') returning id")
                made = cursor.fetchone()[0]
                cursor.execute("select count(*) from notes")
                found = [made, cursor.fetchone()[0]]
            pool2.putconn(connection)
            return found


        WAYS = [by_session, by_scoped_session, by_core, by_binds, by_sqlmodel, by_psycopg, by_psycopg2]
        """,
    "service/asynchronous.py": """
        import os

        import asyncpg
        from piccolo.columns import Serial, Text
        from piccolo.engine.postgres import PostgresEngine
        from piccolo.table import Table
        from sqlalchemy import func, select
        from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
        from tortoise import Tortoise, fields
        from tortoise.models import Model

        from service.sync import Note

        URL = os.environ["DATABASE_URL"]
        engine = create_async_engine(URL.replace("postgresql:", "postgresql+asyncpg:"))
        new_session = async_sessionmaker(engine)
        piccolo = PostgresEngine(config={"dsn": URL})


        class PiccoloNote(Table, tablename="notes", db=piccolo):
            id = Serial(primary_key=True)
            text = Text()


        class TortoiseNote(Model):
            id = fields.IntField(primary_key=True)
            text = fields.TextField()

            class Meta:
                table = "notes"


        async def by_async_session(state):
            async with new_session() as session:
                session.add(note := Note(text="a"))
                await session.flush()
                made = note.id
                await session.commit()
                return [made, await session.scalar(select(func.count()).select_from(Note))]


        async def by_asyncpg(state):
            async with state["pool"].acquire() as connection:
                prepared = await connection.prepare("insert into notes (text) values ($1) returning id")
                made = await prepared.fetchval("a")
                return [made, await connection.fetchval("select count(*) from notes")]


        async def by_piccolo(state):
            note = PiccoloNote(text="a")
            await note.save()
            return [note.id, await PiccoloNote.count()]


        async def by_tortoise(state):
            note = await TortoiseNote.create(text="a")
            return [note.id, await TortoiseNote.all().count()]


        WAYS = [by_async_session, by_asyncpg, by_piccolo, by_tortoise]


        async def start(state):
            state["pool"] = await asyncpg.create_pool(URL, min_size=1)
            await piccolo.start_connection_pool()
            await Tortoise.init(
                db_url=URL.replace("postgresql:", "postgres:"),
                modules={"models": ["service.asynchronous"]},
                _enable_global_fallback=True,
            )


        async def stop(state):
            await Tortoise.close_connections()
            await piccolo.close_connection_pool()
            await state["pool"].close()
            await engine.dispose()
        """,
    "service/main.py": """
        from contextlib import asynccontextmanager

        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse
        from starlette.routing import Mount, Route

        from service import asynchronous, sync


        @asynccontextmanager
        async def lifespan(app):
            state = {}
            await asynchronous.start(state)
            with sync.pool3:
                yield {"opened": state}
            sync.pool2.closeall()
            await asynchronous.stop(state)


        def endpoint(way):
            async def answer(request):
                if way in sync.WAYS:
                    return JSONResponse(await run_in_threadpool(way))
                return JSONResponse(await way(request.state.opened))

            return answer


        routes = [Route(f"/{way.__name__}", endpoint(way), methods=["POST"]) for way in sync.WAYS + asynchronous.WAYS]
        app = Starlette(routes=[Mount("/ways", app=Starlette(routes=routes))], lifespan=lifespan)
        """,
    "test_ways.py": """
        import pytest

        WAYS = "session scoped_session core binds sqlmodel psycopg psycopg2 async_session asyncpg piccolo tortoise".split()


        @pytest.mark.parametrize("attempt", range(3))
        @pytest.mark.parametrize("way", WAYS)
        def test_what_was_committed_is_undone(client, way, attempt):
            response = client.post(f"/ways/by_{way}")
            assert response.json() == [1, 1], response.text


        @pytest.mark.seatrial(db="clone", second="clone")
        def test_all_at_once_in_a_copy_that_is_replaced(client, db):
            assert [client.post(f"/ways/by_{way}").json() for way in WAYS] == [[n, n] for n in range(1, 4)] + [
                [4, 1], *[[n, n] for n in range(5, 12)]
            ]


        @pytest.mark.parametrize("way", WAYS)
        def test_pools_go_on_after_the_copy_was_replaced(client, way):
            assert client.post(f"/ways/by_{way}").json() == [1, 1]
        """,
}


def test_every_way_to_a_database(project, passes):
    project.write(SERVICE)
    passes(passed=11 * 3 + 1 + 11)
