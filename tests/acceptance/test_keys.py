"""What each key of a resource does, seen from a test."""

from __future__ import annotations

import pytest


def configure(service, **values: str) -> None:
    """Add keys to the resource."""
    config = service.folder / "pyproject.toml"
    config.write_text(config.read_text() + "".join(f"{key} = {value}\n" for key, value in values.items()))


def passes(service, test: str, *arguments: str) -> str:
    service.write({"tests/test_key.py": test})
    outcome = service.pytest("tests/test_key.py", *arguments)
    assert outcome.status == 0, outcome.text
    return outcome.text


def test_start_early_has_a_database_for_an_app_that_connects_while_it_is_imported(service):
    database = service.folder / "app/database.py"
    database.write_text(
        database.read_text() + "\nwith engine.connect() as connection:\n    connection.exec_driver_sql('select 1')\n"
    )
    configure(service, start='"early"')
    for _ in range(2):
        passes(
            service,
            """
            import pytest
            import app.database
            from app.models import User

            @pytest.mark.parametrize("attempt", range(2))
            def test_early(client, db, attempt):
                assert client.post("/users", json={"email": "a@b.c", "name": "A"}).json()["id"] == 1
                assert db.query(User).count() == 1
            """,
        )


def test_with_a_role_the_app_is_that_role_and_row_level_security_holds(service):
    service.write(
        {
            "schema.sql": """
            create table notes (id int primary key, owner text not null);
            insert into notes values (1, 'reader'), (2, 'somebody');
            create role reader login;
            grant select on notes to reader;
            alter table notes enable row level security;
            create policy own on notes using (owner = current_user);
            """,
            "pyproject.toml": """
            [tool.seatrial.resources.db]
            kind = "postgres"
            schema = "schema.sql"
            role = "reader"
            """,
        }
    )
    passes(
        service,
        """
        import psycopg
        import pytest

        def test_role(db):
            assert db.execute("select current_user").fetchone() == ("reader",)
            assert db.execute("select id from notes").fetchall() == [(1,)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute("delete from notes")
        """,
    )


def test_env_names_the_variables_and_their_templates(service):
    configure(
        service,
        env='{ APP_DB_HOST = "{host}", APP_DB_DSN = "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}" }',
    )
    passes(
        service,
        """
        import os

        def test_env(seatrial_db_url):
            assert os.environ["APP_DB_HOST"] == "127.0.0.1"
            assert os.environ["APP_DB_DSN"] == seatrial_db_url.replace("postgresql://", "postgresql+asyncpg://")
            assert "DATABASE_URL" not in os.environ
        """,
    )


def test_seed_and_extensions_are_part_of_the_baseline_and_come_back(service):
    service.write({"tests/seed.sql": "insert into users (email, name) values ('seed@b.c', 'Seed');"})
    configure(service, seed='"tests/seed.sql"', extensions='["pg_trgm"]')
    text = passes(
        service,
        """
        import pytest
        from sqlalchemy import text
        from app.models import User

        @pytest.mark.parametrize("attempt", range(3))
        def test_seed(db, attempt):
            assert db.execute(text("select similarity('word', 'word')")).scalar() == 1
            assert [user.name for user in db.query(User)] == ["Seed"]
            db.query(User).delete()
            db.add(User(email="new@b.c", name="New"))
            db.commit()
            assert db.query(User).one().id == 2
        """,
    )
    assert "undone from the log" in text


def test_recycle_ends_idle_connections_of_other_processes_after_each_test(service):
    configure(service, recycle="true")
    passes(
        service,
        """
        import psycopg
        import pytest

        @pytest.fixture(scope="module")
        def other(seatrial_db_url):
            connection = psycopg.connect(seatrial_db_url, autocommit=True)
            yield connection
            connection.close()

        def test_one(db, other):
            other.execute("set search_path to pg_catalog")

        def test_two(db, other):
            with pytest.raises(psycopg.OperationalError):
                other.execute("select 1")
        """,
    )


def test_a_schema_command_with_inputs_runs_once_and_without_them_each_time(service):
    service.write(
        {
            "make.py": """
            import os
            import pathlib
            import psycopg

            with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
                connection.execute(pathlib.Path("schema.sql").read_text())
            with open("runs", "a") as file:
                file.write("x")
            """,
            "schema.sql": "create table made (id int);",
            "pyproject.toml": """
            [tool.seatrial.resources.db]
            kind = "postgres"
            schema = "python make.py"
            inputs = ["make.py", "*.sql"]
            """,
        }
    )
    test = "def test_made(db):\n    assert db.execute('select count(*) from made').fetchone() == (0,)\n"
    for _ in range(2):
        passes(service, test)
    assert (service.folder / "runs").read_text() == "x"
    config = service.folder / "pyproject.toml"
    config.write_text(config.read_text().replace("inputs", "# inputs"))
    told = [passes(service, test) for _ in range(2)]
    assert (service.folder / "runs").read_text() == "xxx"
    assert "inputs" in told[0]


def test_the_binary_provider_serves_an_older_postgresql_and_resets_there_by_a_scan(service):
    configure(service, version='"<16"')
    probe = service.seatrial("doctor", "--no-start", "--json")
    if probe.status:
        pytest.skip(f"no PostgreSQL below 16 on this machine: {probe.text[:200]}")
    text = passes(service, (service.folder / "tests/test_occasions.py").read_text())
    assert "undone by a scan" in text
    assert "(binary)" in text
