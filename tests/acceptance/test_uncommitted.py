"""A wider fixture that forgets the commit is told so: its rows are rolled back, and no test sees them."""

from __future__ import annotations

import pytest

SCHEMA = "create table log (v varchar(40)); insert into log values ('seed');"
CONFIG = "[resources.db]\nkind = '{kind}'\nschema = '{schema}'\n"
LOST = "db: the fixture {}: what `db` had not committed when its set-up ended was rolled back, so no test sees it. "
ADVICE = "To keep it, end the set-up with `{}`"

PLAIN = """
import pytest

@pytest.fixture(scope="module")
def forgets(db):
    db.execute("insert into log values ('forgotten')")

@pytest.fixture(scope="class")
def forgets_the_last(db):
    db.execute("insert into log values ('kept')")
    db.commit()
    db.execute("delete from log where v = 'seed'")

@pytest.fixture(scope="class")
def reads(db):
    return db.execute("select v from log").fetchall()

@pytest.fixture(scope="class")
def commits(db):
    db.execute("insert into log values ('committed')")
    db.commit()
    db.execute("select v from log").fetchall()

@pytest.fixture(scope="class")
def fails(db):
    with pytest.raises(Exception):
        db.execute("insert into nonsense values (1)")

@pytest.fixture
def rows(db):
    return [v for (v,) in db.execute("select v from log order by v")]

class TestReads:
    def test_reads(self, reads, rows):
        assert rows == ["seed"]

class TestCommits:
    def test_commits(self, commits, rows):
        assert rows == ["committed", "seed"]

class TestFails:
    def test_fails(self, fails, rows):
        assert rows == ["seed"]

class TestForgets:
    def test_forgets(self, forgets, rows):
        assert rows == ["seed"]

    def test_forgets_the_last(self, forgets_the_last, rows):
        assert rows == ["kept", "seed"]
"""


def told(outcome) -> list[str]:
    return sorted(line for line in outcome.text.splitlines() if "had not committed" in line)


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_a_wider_fixture_that_does_not_commit_what_it_wrote_by_the_drivers_connection_is_named(project, kind):
    project.write({"seatrial.toml": CONFIG.format(kind=kind, schema="schema.sql"), "schema.sql": SCHEMA})
    outcome = project.write({"test_it.py": PLAIN}).pytest()
    assert outcome.counts() == {"passed": 5}, outcome.text
    assert told(outcome) == [
        LOST.format(name) + ADVICE.format("db.commit()") for name in ("forgets", "forgets_the_last")
    ]


SYNC = {
    "service.py": """
        import os
        from sqlalchemy import create_engine
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

        class Base(DeclarativeBase):
            pass

        class Item(Base):
            __tablename__ = "item"
            name: Mapped[str] = mapped_column(primary_key=True)
            colour: Mapped[str] = mapped_column(default="grey")
        """,
    "test_it.py": """
        import pytest
        from service import Item
        from sqlalchemy import text

        @pytest.fixture(scope="module")
        def one(db):
            db.add(Item(name="one"))
            db.commit()

        @pytest.fixture(scope="class")
        def adds(db, one):
            db.add(Item(name="other"))

        @pytest.fixture(scope="class")
        def flushes(db, one):
            db.add(Item(name="other"))
            db.flush()

        @pytest.fixture(scope="class")
        def changes(db, one):
            db.get(Item, "one").colour = "red"

        @pytest.fixture(scope="class")
        def executes(db, one):
            db.execute(text("update item set colour = 'blue'"))

        @pytest.fixture(scope="class")
        def reads(db, one):
            return db.get(Item, "one")


        def seen(db):
            assert [(item.name, item.colour) for item in db.query(Item)] == [("one", "grey")]

        class TestAdds:
            def test_it(self, db, adds):
                seen(db)

        class TestFlushes:
            def test_it(self, db, flushes):
                seen(db)

        class TestChanges:
            def test_it(self, db, changes):
                seen(db)

        class TestExecutes:
            def test_it(self, db, executes):
                seen(db)

        class TestReads:
            def test_it(self, db, reads):
                assert reads.colour == "grey"
                seen(db)
        """,
}


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_a_wider_fixture_that_does_not_commit_its_session_is_named(project, kind):
    project.write({"seatrial.toml": CONFIG.format(kind=kind, schema="service:Base"), **SYNC})
    outcome = project.pytest()
    assert "failed" not in outcome.counts(), outcome.text
    assert told(outcome) == [
        LOST.format(name) + ADVICE.format("db.commit()") for name in ("adds", "changes", "executes", "flushes")
    ]


ASYNC = """
    import pytest
    from rows import add, names

    pytestmark = pytest.mark.anyio

    @pytest.fixture(scope="module")
    def anyio_backend():
        return "asyncio"

    @pytest.fixture(scope="module")
    async def adds(anyio_backend, db):
        add(db, "one")

    @pytest.fixture(scope="class")
    async def flushes(anyio_backend, db):
        add(db, "one")
        await db.flush()

    @pytest.fixture(scope="class")
    async def commits(anyio_backend, db):
        add(db, "one")
        await db.commit()
        await names(db)

    @pytest.fixture(scope="class")
    async def reads(anyio_backend, db):
        return await names(db)

    class TestReads:
        async def test_it(self, db, reads):
            assert await names(db) == []

    class TestCommits:
        async def test_it(self, db, commits):
            assert await names(db) == ["one"]

    class TestAdds:
        async def test_it(self, db, adds):
            assert await names(db) == []

    class TestFlushes:
        async def test_it(self, db, flushes):
            assert await names(db) == []
    """
ASYNC_SERVICE = {
    "service.py": """
        import os
        from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

        SessionLocal = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]))

        class Base(DeclarativeBase):
            pass

        class Item(Base):
            __tablename__ = "item"
            name: Mapped[str] = mapped_column(primary_key=True)

        async def get_db():
            async with SessionLocal() as session:
                yield session
        """,
    "rows.py": """
        from sqlalchemy import text
        from service import Item

        def add(db, name):
            db.add(Item(name=name))

        async def names(db):
            return list(await db.scalars(text("select name from item order by name")))
        """,
}
URLS = {
    "asyncpg": "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}",
    "psycopg": "postgresql+psycopg://{user}:{password}@{host}:{port}/{database}",
    "aiosqlite": "sqlite+aiosqlite:///{database}",
}


@pytest.mark.parametrize("driver", URLS)
def test_a_wider_fixture_that_does_not_commit_its_async_session_is_named(project, driver):
    kind = "sqlite" if driver == "aiosqlite" else "postgres"
    config = CONFIG.format(kind=kind, schema="service:Base")
    config += f"override = 'service:get_db'\nenv = {{ DATABASE_URL = '{URLS[driver]}' }}\n"
    project.write({"seatrial.toml": config, **ASYNC_SERVICE, "test_it.py": ASYNC})
    outcome = project.pytest("-p", "anyio.pytest_plugin")
    assert outcome.counts() == {"passed": 4}, outcome.text
    assert told(outcome) == [LOST.format(name) + ADVICE.format("await db.commit()") for name in ("adds", "flushes")]
