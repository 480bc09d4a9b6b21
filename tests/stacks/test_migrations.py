"""A real tool of migrations as a command: its scripts are run once, and again when one of them has changed."""

from __future__ import annotations

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
    assert "fix: to see it alone: seatrial run -- yoyo apply --batch" in outcome.text
    project.write({"migrations/0003.year.sql": "ALTER TABLE books ADD year int;\n"})
    passes(passed=3)
