"""Fixtures of session, package, module and class scope write through the same `db`: the baseline of what is inside."""

from __future__ import annotations

import pytest

CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def world(db):
    db.execute("insert into log values ('session')")
    db.commit()
    yield "made"
    db.execute("insert into log values ('left by a tear-down')")
    db.commit()

@pytest.fixture
def rows(db):
    return lambda: [v for (v,) in db.execute("select v from log order by v")]
"""
TESTS = """
import pytest

@pytest.fixture(scope="package", autouse=True)
def package(db, world):
    db.execute("insert into log values ('package')")
    db.commit()

@pytest.fixture(scope="module")
def module(db):
    db.execute("insert into log values ('module')")
    db.commit()

@pytest.mark.parametrize("n", range(2))
def test_package(db, rows, n):
    assert rows() == ["package", "seed", "session"]
    db.execute("delete from log where v in ('seed', 'session')")
    db.execute("insert into log values ('of a test')")
    db.commit()

class TestInAClass:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def in_class(cls, db, module):
        db.execute("update log set v = 'class' where v = 'module'")
        db.commit()

    def test_class(self, db, rows):
        assert rows() == ["class", "package", "seed", "session"]
        db.execute("delete from log")
        db.commit()

    @pytest.mark.seatrial(db="clone")
    def test_clone(self, db, rows):
        assert rows() == ["class", "package", "seed", "session"]
        db.execute("drop table log")
        db.commit()

    def test_class_again(self, rows):
        assert rows() == ["class", "package", "seed", "session"]

def test_module_without_what_the_class_did(db, rows, module):
    assert rows() == ["module", "package", "seed", "session"]
    db.execute("delete from log")
    db.commit()
"""
OUTSIDE = """
def test_outside_of_every_layer(rows):
    assert rows() == ["seed"]
"""


def files(kind: str) -> dict[str, str]:
    return {
        "seatrial.toml": f"[resources.db]\nkind = '{kind}'\nschema = 'schema.sql'\n",
        "schema.sql": "create table log (v text); insert into log values ('seed');",
        "conftest.py": CONFTEST,
        "before/test_outside.py": OUTSIDE,
        "inside/__init__.py": "",
        "inside/test_inside.py": TESTS,
    }


@pytest.mark.parametrize(("kind", "workers"), [("sqlite", "0"), ("postgres", "2")])
def test_nested_layers_are_the_baseline_of_the_tests_inside_and_gone_with_their_fixtures(project, kind, workers):
    outcome = project.write(files(kind)).pytest("-n", workers, "--dist", "loadfile", audit=True)
    assert outcome.counts() == {"passed": 7}, outcome.text
    assert "db: audited after 7 tests, all of them equal to the baseline" in outcome.text


def test_a_layer_is_gone_after_the_tear_down_of_its_fixture(project):
    """A parametrized fixture is torn down in the middle of a run, with whatever its own tear-down wrote."""
    project.write(files("postgres"))
    project.write(
        {
            "test_tenants.py": """
            import pytest

            @pytest.fixture(scope="module", params=["one", "two"])
            def tenant(db, request):
                db.execute(f"insert into log values ('{request.param}')")
                db.commit()
                yield request.param
                db.execute("delete from log where v = 'seed'")
                db.commit()

            def test_in_a_layer(db, rows, tenant):
                assert rows() == sorted(["seed", tenant])
                db.execute("delete from log")
                db.commit()

            def test_in_the_same_layer(rows, tenant):
                assert rows() == sorted(["seed", tenant])

            def test_the_layer_lasts_as_long_as_the_module(rows):
                assert rows() == ["seed", "two"]

            def test_asked_for_in_the_middle_of_a_test(db, request):
                request.getfixturevalue("world")
            """
        }
    )
    project.write({"test_without.py": OUTSIDE})
    outcome = project.pytest("test_tenants.py", "test_without.py")
    assert outcome.counts() == {"passed": 7}, outcome.text
    assert "the fixture world was first requested while a test was running" in outcome.text


ASYNC = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["."]
        asyncio_default_fixture_loop_scope = "function"
        filterwarnings = ["error"]

        [tool.seatrial.resources.db]
        kind = "postgres"
        schema = "service:Base"
        override = "service:get_db"
        env = { DATABASE_URL = "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}" }
        """,
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

        async def add(db, name):
            db.add(Item(name=name))
            await db.commit()

        async def names(db):
            return list(await db.scalars(text("select name from item order by name")))

        async def spoil(db, expected):
            assert await names(db) == expected
            await db.execute(text("delete from item"))
            await add(db, "of a test")
        """,
    "test_1_asyncio.py": """
        import pytest, pytest_asyncio
        from rows import add, spoil

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def world(db):
            await add(db, "session")
            yield
            await add(db, "left by a tear-down")

        @pytest_asyncio.fixture(scope="package", loop_scope="package")
        async def package(db, world):
            await add(db, "package")

        @pytest_asyncio.fixture(scope="module", loop_scope="session")
        async def module(db, package):
            await add(db, "module")
            yield
            await add(db, "left by a tear-down")

        @pytest_asyncio.fixture(scope="class", loop_scope="class")
        async def in_class(db, module):
            await add(db, "class")

        class TestInAClass:
            @pytest.mark.parametrize("n", range(2))
            @pytest.mark.asyncio(loop_scope="class")
            async def test_on_the_loop_of_the_fixture(self, db, in_class, n):
                await spoil(db, ["class", "module", "package", "session"])

            @pytest.mark.asyncio
            async def test_on_a_loop_of_its_own(self, db, in_class):
                await spoil(db, ["class", "module", "package", "session"])

            def test_sync(self, db, in_class):
                pass

        @pytest.mark.asyncio(loop_scope="module")
        async def test_on_the_loop_of_the_module(db, module):
            await spoil(db, ["module", "package", "session"])

        @pytest.mark.asyncio(loop_scope="session")
        @pytest.mark.seatrial(db="clone")
        async def test_on_the_loop_of_the_session(db, module):
            await spoil(db, ["module", "package", "session"])
        """,
    "test_2_anyio.py": """
        import pytest
        from rows import add, spoil

        pytestmark = pytest.mark.anyio

        @pytest.fixture(scope="module")
        def anyio_backend():
            return "asyncio"

        @pytest.fixture(scope="module")
        async def stock(anyio_backend, db):
            await add(db, "stock")
            yield
            await add(db, "left by a tear-down")

        @pytest.fixture(scope="class")
        async def more(anyio_backend, db, stock):
            await add(db, "more")

        class TestMore:
            @pytest.mark.parametrize("n", range(2))
            async def test_in_class(self, db, more, n):
                await spoil(db, ["more", "package", "session", "stock"])

        async def test_in_module(db, stock):
            await spoil(db, ["package", "session", "stock"])
        """,
    "test_3_outside.py": """
        import pytest
        from rows import spoil

        @pytest.mark.asyncio
        async def test_only_what_lasts_as_long_as_the_run(db):
            await spoil(db, ["package", "session"])
        """,
}


def test_async_fixtures_of_every_scope_and_loop_lay_layers_as_sync_ones_do(project):
    outcome = project.write(ASYNC).pytest("-p", "pytest_asyncio.plugin", "-p", "anyio.pytest_plugin", audit=True)
    assert outcome.counts() == {"passed": 10}, outcome.text
    assert "db: audited after 10 tests, all of them equal to the baseline" in outcome.text
    assert "warning" not in outcome.text.lower(), outcome.text


WAYS = """
import asyncio
from contextlib import suppress

import nats


def add_redis(client, name):
    client.rpush("log", name)


def seen_redis(client):
    return [one.decode() for one in client.lrange("log", 0, -1)]


def spoil_redis(client):
    client.flushall()
    client.select(3)
    client.set("of a", "test")


def add_s3(bucket, name):
    bucket.put_object(Key=name, Body=b"x")


def seen_s3(bucket):
    return [one.key for one in bucket.objects.all()]


def spoil_s3(bucket):
    bucket.objects.all().delete()
    bucket.put_object(Key="of a test", Body=b"x")


def on(url, work):
    async def connected():
        connection = await nats.connect(url)
        try:
            return await work(connection.jetstream())
        finally:
            await connection.close()

    return asyncio.run(connected())


def add_nats(url, name):
    async def work(js):
        with suppress(nats.js.errors.BadRequestError):
            await js.add_stream(name="log", subjects=["log"])
        await js.publish("log", name.encode())

    on(url, work)


def seen_nats(url):
    async def work(js):
        with suppress(nats.js.errors.NotFoundError):
            last = (await js.stream_info("log")).state.last_seq
            return [(await js.get_msg("log", number)).data.decode() for number in range(1, last + 1)]
        return []

    return on(url, work)


def spoil_nats(url):
    async def work(js):
        with suppress(nats.js.errors.NotFoundError):
            await js.delete_stream("log")
        await js.add_stream(name="other", subjects=["log"])
        await js.publish("log", b"of a test")

    on(url, work)


add_valkey, seen_valkey, spoil_valkey = add_redis, seen_redis, spoil_redis
"""
WITHOUT_SQL = """
import pytest
import ways

KIND = "{kind}"
add, seen, spoil = (getattr(ways, f"{{way}}_{{KIND}}") for way in ("add", "seen", "spoil"))


@pytest.fixture(scope="module")
def world(store):
    add(store, "1 module")
    yield
    add(store, "left by a tear-down")


def test_before(store):
    assert seen(store) == []
    add(store, "of a test")


class TestInAClass:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def in_class(cls, store, world):
        add(store, "2 class")

    @pytest.mark.parametrize("isolation", ["reset", pytest.param("clone", marks=pytest.mark.seatrial(store="clone"))])
    def test_class(self, store, isolation):
        assert seen(store) == ["1 module", "2 class"]
        spoil(store)

    def test_class_again(self, store):
        assert seen(store) == ["1 module", "2 class"]


@pytest.mark.parametrize("attempt", range(2))
def test_module_without_what_the_class_did(store, world, attempt):
    assert seen(store) == ["1 module"]
    spoil(store)
"""
WITHOUT_SQL_OUTSIDE = """
from test_1_inside import seen


def test_outside(store):
    assert seen(store) == []
"""


@pytest.mark.parametrize("kind", ["redis", "valkey", "nats", "s3"])
def test_what_a_wider_fixture_writes_to_a_kind_without_sql_is_there_in_each_of_its_tests_and_gone_after_it(
    project, kind
):
    project.write(
        {
            "seatrial.toml": f"[resources.store]\nkind = '{kind}'\n",
            "ways.py": WAYS,
            "test_1_inside.py": WITHOUT_SQL.format(kind=kind),
            "test_2_outside.py": WITHOUT_SQL_OUTSIDE,
        }
    )
    outcome = project.pytest()
    assert outcome.counts() == {"passed": 7}, outcome.text
    assert "after its end" not in outcome.text


SCRIPTS = """
import pytest

@pytest.fixture(scope="module")
def count(store):
    return store.script_load("return redis.call('incr', 'count')")

def test_before(store):
    store.script_load("return 'of a test'")

@pytest.mark.parametrize("attempt", range(2))
def test_each_can_call_what_the_fixture_has_loaded(store, count, attempt):
    assert store.evalsha(count, 0) == 1
"""
SCRIPTS_OUTSIDE = """
import hashlib

def test_outside(store):
    text = b"return redis.call('incr', 'count')"
    assert store.script_exists(hashlib.sha1(text).hexdigest()) == [False]
"""


def test_a_script_that_a_wider_fixture_loads_into_redis_can_be_called_in_each_of_its_tests(project):
    project.write({"seatrial.toml": "[resources.store]\nkind = 'redis'\n", "test_1.py": SCRIPTS})
    outcome = project.write({"test_2.py": SCRIPTS_OUTSIDE}).pytest()
    assert outcome.counts() == {"passed": 4}, outcome.text
