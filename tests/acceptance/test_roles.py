"""Roles live on the server, templates come and go: a schema that makes a role can be changed as often as one likes."""

from __future__ import annotations

import signal

import pytest

TESTS = """
    import psycopg

    def test_the_reader_may_read(db_url, db):
        db.execute("insert into users (name) values ('Ada')")
        db.commit()
        with psycopg.connect(db_url) as app:
            app.execute("set role reader")
            assert app.execute("select name from users").fetchall() == [("Ada",)]
"""
SCHEMA = "create role reader; create table users (name text {more}); grant select on users to reader;\n"


@pytest.fixture
def shop(project):
    project.write(
        {
            "pyproject.toml": '[tool.seatrial.resources.db]\nkind = "postgres"\nschema = "schema.sql"\nseed = "seed.sql"\n',
            "seed.sql": "select 1;\n",
            "schema.sql": SCHEMA.format(more=""),
            "test_reader.py": TESTS,
        }
    )
    yield project
    project.end_servers()


def test_a_schema_that_creates_a_role_can_be_edited_between_two_runs(shop) -> None:
    for more, isolation in (("", "reset"), ("not null", "clone"), ("not null unique", "reset"), ("", "reset")):
        shop.write({"schema.sql": SCHEMA.format(more=more)})
        outcome = shop.pytest("-q", SEATRIAL_DB_ISOLATION=isolation)
        assert outcome.counts() == {"passed": 1}, outcome.text
    shop.write({"seed.sql": "select 1 / 0;\n"})  # when the role is made already
    assert "division by zero" in shop.pytest("-q").text
    shop.write({"seed.sql": "select 1;\n"})
    assert shop.pytest("-q").counts() == {"passed": 1}


def test_a_development_database_that_uses_the_role_is_named_where_it_is_in_the_way(shop) -> None:
    assert shop.seatrial("up").status == 0
    shop.write({"schema.sql": SCHEMA.format(more="not null")})
    outcome = shop.pytest("-q")
    assert "the database db_dev still uses it" in outcome.text
    assert 'DROP DATABASE "db_dev"' in outcome.text


WIDER = """
    import psycopg
    import pytest

    @pytest.fixture(scope="session")
    def reporting(db_url):
        with psycopg.connect(db_url, autocommit=True) as own:
            own.execute("create database reporting")
        return db_url.rsplit("/", 1)[0] + "/reporting"

    @pytest.mark.parametrize("attempt", range(3))
    def test_reports(db, reporting, attempt):
        db.execute("insert into users (name) values ('Ada')")
        db.commit()
        with psycopg.connect(reporting) as reports:
            reports.execute("select 1")
"""


def test_a_database_that_a_session_fixture_makes_is_there_in_each_of_its_tests_and_gone_after_them(shop) -> None:
    shop.write({"test_reader.py": WIDER})
    for _ in range(2):
        outcome = shop.pytest("-q")
        assert outcome.counts() == {"passed": 3}, outcome.text


BEYOND = """
    import psycopg
    import pytest

    @pytest.fixture(scope="class")
    def beyond(db_url, request):
        def grant(right):
            with psycopg.connect(db_url, autocommit=True) as own:
                own.execute(f"grant {right} on parameter log_statement to reader")
        grant("set")
        yield
        if request.cls.__name__ == "TestTearDown":
            grant("alter system")

    class TestSetUp:
        def test_first(self, db, beyond):
            db.execute("insert into users (name) values ('Ada')")

    class TestTearDown:
        def test_second(self, db, beyond):
            assert db.execute("select name from users").fetchall() == []

    def test_third(db):
        assert db.execute("select name from users").fetchall() == []
"""


@pytest.mark.parametrize("flags", [(), ("--seatrial-audit",)], ids=["alone", "audited"])
def test_what_a_wider_fixture_did_to_the_whole_server_fails_it_and_none_of_the_next_tests(shop, flags) -> None:
    shop.write({"test_reader.py": BEYOND})
    outcome = shop.pytest("-q", *flags)
    assert outcome.counts() == {"passed": 3, "error": 2}, outcome.text
    assert outcome.text.count("the test changed what belongs to the whole server (pg_parameter_acl)\n") >= 2


KEPT = """
    import psycopg
    import pytest

    @pytest.mark.parametrize("attempt", range(2))
    def test_fails(db_url, attempt):
        with psycopg.connect(db_url, autocommit=True) as own:
            own.execute("create role made_by_a_test")
            own.execute("grant select on users to made_by_a_test")
            own.execute("begin")
            own.execute("insert into users (name) values ('Ada')")
            own.execute("prepare transaction 'left'")
        raise RuntimeError("as it should")
"""


def test_what_a_test_did_to_the_whole_server_is_put_back_where_its_database_is_kept(shop) -> None:
    shop.write({"test_reader.py": KEPT})
    for _ in range(2):
        outcome = shop.pytest("-q", "--seatrial-keep")
        assert outcome.counts() == {"failed": 2}, outcome.text
        assert outcome.text.count("RuntimeError: as it should") >= 2, outcome.text
        assert outcome.text.count("kept at") == 2


KILLED = """
    import os
    import signal

    import psycopg

    def test_dies(db_url):
        with psycopg.connect(db_url, autocommit=True) as own:
            own.execute("create role made_by_a_test login password 'x'")
            own.execute("alter role reader set statement_timeout = '1ms'")
            own.execute("create database made_by_a_test")
        if "DIES" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_role_that_a_test_made_in_which_the_run_was_killed_is_not_there_in_the_next_run(shop) -> None:
    shop.write({"test_reader.py": KILLED})
    for _ in range(2):
        assert shop.pytest("-q", DIES="1").status == -signal.SIGKILL
        outcome = shop.pytest("-q")
        assert outcome.counts() == {"passed": 1}, outcome.text


ALEMBIC = {
    "alembic.ini": "[alembic]\nscript_location = %(here)s/migrations\n",
    "migrations/env.py": """
        import os

        from alembic import context
        from sqlalchemy import create_engine

        with create_engine(os.environ["SHOP_DSN"]).connect() as connection:
            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()
    """,
    "migrations/versions/first.py": """
        from alembic import op
        from migrate import SCHEMA

        revision, down_revision = "1", None

        def upgrade():
            op.execute(SCHEMA)
    """,
}
MIGRATE = """
    import os

    import psycopg

    SCHEMA = "create table users (id serial, name text default current_user); grant select on users to reader"

    if __name__ == "__main__":
        with psycopg.connect(os.environ["SHOP_DSN"].replace("+psycopg", "")) as own:
            own.execute(SCHEMA)
"""
READS = """
    import psycopg
    import pytest

    def test_the_reader_does_not_own_what_the_schema_made(db_url):
        with psycopg.connect(db_url) as app:
            assert app.execute("select user, tableowner = user from pg_tables where tablename = 'users'").fetchone() == (
                "reader", False
            )
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute("insert into users default values")
"""


@pytest.mark.parametrize("step", ["alembic.ini", "python migrate.py"])
def test_migrations_that_read_the_exported_variable_run_as_the_owner_and_not_as_the_role_of_the_app(shop, step) -> None:
    shop.write(
        {
            "pyproject.toml": f"""
                [tool.seatrial.resources.db]
                kind = "postgres"
                schema = ["roles.sql", "{step}"]
                role = "reader"
                inputs = ["migrate.py"]
                env = {{ SHOP_DSN = "postgresql+psycopg://{{user}}:{{password}}@{{host}}:{{port}}/{{database}}" }}
            """,
            "roles.sql": "do $$ begin create role reader; exception when duplicate_object then null; end $$;\n",
            **ALEMBIC,
            "migrate.py": MIGRATE,
            "test_reader.py": READS,
        }
    )
    outcome = shop.pytest("-q")
    assert outcome.counts() == {"passed": 1}, outcome.text
