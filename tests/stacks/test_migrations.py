"""A real tool of migrations as a command: its scripts are run once, and again when one of them has changed."""

from __future__ import annotations

import shutil

import pytest

PROJECT = {
    "seatrial.toml": """
        [resources.db]
        kind = "postgres"
        schema = "yoyo apply --batch"
        inputs = ["migrations/*", "yoyo.ini"]
        """,
    "yoyo.ini": """
        [DEFAULT]
        sources = migrations
        database = %(DATABASE_URL)s
        """,
    "migrations/0001.books.sql": "CREATE TABLE books (id serial PRIMARY KEY, title text NOT NULL);\n",
    "migrations/0001.books.rollback.sql": "DROP TABLE books;\n",
    "migrations/0002.first.py": """
        from yoyo import step

        __depends__ = {"0001.books"}
        steps = [step("INSERT INTO books (title) VALUES ('Emma')", "DELETE FROM books")]
        """,
    "test_books.py": """
        import pytest

        @pytest.mark.parametrize("attempt", range(2))
        def test_each_test_starts_from_what_was_migrated(db, attempt):
            assert db.execute("SELECT id, title FROM books").fetchall() == [(1, "Emma")]
            assert db.execute("INSERT INTO books (title) VALUES ('Persuasion') RETURNING id").fetchone() == (2,)
            db.execute("UPDATE books SET title = 'changed'")
            db.commit()

        def test_yoyo_s_own_tables_are_there(db):
            assert db.execute("SELECT count(*) FROM _yoyo_migration").fetchone()[0] >= 2
        """,
}


def test_yoyo_runs_once_and_again_when_a_migration_was_changed_or_came(project, passes):
    project.write(PROJECT)
    assert " built in " in passes(passed=3)
    assert " found in " in passes(passed=3)
    project.write({"migrations/0003.year.sql": "ALTER TABLE books ADD year int;\n"})
    project.write(
        {
            "test_books.py": "def test_year(db):\n    assert db.execute('SELECT year FROM books').fetchall() == [(None,)]\n"
        }
    )
    assert " built in " in passes(passed=1)


def test_a_migration_that_fails_shows_what_yoyo_said_and_is_not_kept(project, passes):
    project.write({**PROJECT, "migrations/0003.year.sql": "ALTER TABLE bocks ADD year int;\n"})
    outcome = project.pytest("-q")
    assert outcome.counts() == {"error": 3}, outcome.text
    assert 'relation "bocks" does not exist' in outcome.text
    assert "fix: mend the command, or what it runs; the address of the database is in DATABASE_URL" in outcome.text
    project.write({"migrations/0003.year.sql": "ALTER TABLE books ADD year int;\n"})
    passes(passed=3)


PICCOLO = {
    "seatrial.toml": """
        [resources.db]
        kind = "postgres"
        schema = "piccolo migrations forwards all"
        env = { DB_HOST = "{host}", DB_PORT = "{port}", DB_USER = "{user}", DB_PASSWORD = "{password}", DB_NAME = "{database}" }
        """,
    "piccolo_conf.py": """
        import os
        from piccolo.conf.apps import AppRegistry
        from piccolo.engine.postgres import PostgresEngine

        names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "database": "NAME"}
        DB = PostgresEngine(config={key: os.environ[f"DB_{name}"] for key, name in names.items()})
        APP_REGISTRY = AppRegistry(apps=["home.piccolo_app"])
        """,
    "home/__init__.py": "",
    "home/piccolo_app.py": """
        from pathlib import Path
        from piccolo.conf.apps import AppConfig

        folder = str(Path(__file__).parent / "piccolo_migrations")
        APP_CONFIG = AppConfig(app_name="home", migrations_folder_path=folder, table_classes=[])
        """,
    "home/piccolo_migrations/__init__.py": "",
    "home/piccolo_migrations/home_first.py": """
        from piccolo.apps.migrations.auto.migration_manager import MigrationManager
        from piccolo.columns.column_types import Text

        ID, VERSION, DESCRIPTION = "2026-01-01T00:00:00:000000", "1.0.0", ""

        async def forwards():
            manager = MigrationManager(migration_id=ID, app_name="home", description=DESCRIPTION)
            manager.add_table(class_name="Note", tablename="note", schema=None, columns=None)
            manager.add_column(
                table_class_name="Note", tablename="note", column_name="text", column_class=Text, params={"default": ""}
            )
            return manager
        """,
    "test_notes.py": """
        import pytest

        @pytest.mark.parametrize("attempt", range(2))
        def test_notes(db, attempt):
            assert db.execute("INSERT INTO note (text) VALUES ('first') RETURNING id").fetchone() == (1,)
            db.commit()
        """,
}


def test_piccolo_migrates_too_and_that_it_runs_in_each_run_is_told(project, passes):
    project.write(PICCOLO)
    assert "`piccolo migrations forwards all` runs again in each run: `inputs`" in passes(passed=2)


DBMATE = {
    "seatrial.toml": """
        [resources.db]
        kind = "postgres"
        schema = "dbmate --no-dump-schema up"
        inputs = ["db/migrations/*.sql"]
        env = { DATABASE_URL = "{url}?sslmode=disable" }
        """,
    "db/migrations/20260101000000_books.sql": """
        -- migrate:up
        CREATE TABLE books (id serial PRIMARY KEY, title text NOT NULL);
        INSERT INTO books (title) VALUES ('Emma');

        -- migrate:down
        DROP TABLE books;
        """,
    "test_books.py": """
        import pytest

        @pytest.mark.parametrize("attempt", range(2))
        def test_books(db, attempt):
            assert db.execute("SELECT id, title FROM books").fetchall() == [(1, "Emma")]
            db.execute("UPDATE books SET title = 'changed'")
            db.commit()
        """,
}


@pytest.mark.skipif(shutil.which("dbmate") is None, reason="dbmate is not here: npm install --global dbmate")
def test_dbmate_a_program_in_go_migrates_once(project, passes):
    project.write(DBMATE)
    assert " built in " in passes(passed=2)
    assert " found in " in passes(passed=2)
