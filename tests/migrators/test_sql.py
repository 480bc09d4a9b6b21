"""Schemas in SQL: files as they are, dumps of pg_dump included, and Prisma's migrations without Node."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.errors import ConfigError, TemplateError
from seatrial.migrators.source.scripts import plain

from .conftest import Bench


def test_a_file_is_run_whole(bench: Bench) -> None:
    bench.write({"schema.sql": "CREATE TABLE a (x int); INSERT INTO a VALUES (1);\nINSERT INTO a VALUES (2);"})
    assert bench.build(bench.step("schema.sql"))("select x from a order by x") == [(1,), (2,)]


def test_a_folder_is_run_in_the_order_of_names(bench: Bench) -> None:
    bench.write(
        {"sql/2.sql": "INSERT INTO a VALUES (1);", "sql/1.sql": "CREATE TABLE a (x int);", "sql/notes.txt": "no"}
    )
    assert bench.build(bench.step("sql"))("select x from a") == [(1,)]


def test_files_that_undo_a_migration_are_not_run(bench: Bench) -> None:
    bench.write(
        {
            "migrations/1_users.up.sql": "CREATE TABLE users (x int);",
            "migrations/1_users.down.sql": "DROP TABLE users;",
            "migrations/2_more.up.sql": "ALTER TABLE users ADD COLUMN y int;",
            "migrations/2_more.down.sql": "ALTER TABLE users DROP COLUMN y;",
        }
    )
    assert bench.build(bench.step("migrations"))("select x, y from users") == []


def test_prismas_migrations_are_run_in_the_order_of_their_folders(bench: Bench) -> None:
    bench.write(
        {
            "prisma/migrations/20240102_more/migration.sql": 'ALTER TABLE "User" ADD COLUMN "name" TEXT;',
            "prisma/migrations/20240101_init/migration.sql": 'CREATE TABLE "User" ("id" INTEGER NOT NULL PRIMARY KEY);',
            "prisma/migrations/migration_lock.toml": "",
        }
    )
    step = bench.step("prisma/migrations")
    assert bench.build(step)('select "id", "name" from "User"') == []
    first = step.hash()
    bench.write({"prisma/migrations/20240103/migration.sql": "SELECT 1;"})
    assert bench.step("prisma/migrations").hash() != first


def test_the_hash_covers_names_and_contents(sqlite: Bench) -> None:
    sqlite.write({"sql/1.sql": "a", "sql/2.sql": "b"})
    first = sqlite.step("sql").hash()
    assert sqlite.step("sql").hash() == first
    sqlite.write({"sql/1.sql": "ab", "sql/2.sql": ""})
    assert sqlite.step("sql").hash() != first


def test_a_mistake_is_told_with_file_line_and_the_servers_words(postgres: Bench) -> None:
    postgres.write({"sql/bad.sql": "CREATE TABLE a (x int);\n\nINSERT INTO b VALUES (1);\n"})
    with pytest.raises(TemplateError, match=r"sql/bad\.sql, line 3, failed") as error:
        postgres.build(postgres.step("sql"))
    assert 'relation "b" does not exist' in error.value.cause


def test_a_mistake_in_sqlite_is_told(sqlite: Bench) -> None:
    sqlite.write({"bad.sql": "INSERT INTO b VALUES (1);"})
    with pytest.raises(TemplateError, match=r"bad\.sql failed") as error:
        sqlite.build(sqlite.step("bad.sql"))
    assert "no such table: b" in error.value.cause


def test_a_folder_without_sql_and_a_binary_file_are_told(sqlite: Bench) -> None:
    (sqlite.root / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no SQL"):
        sqlite.step("empty")
    (sqlite.root / "dump.sql").write_bytes(b"PGDMP\xff\xfe")
    with pytest.raises(ConfigError, match="is not text in UTF-8"):
        sqlite.build(sqlite.step("dump.sql"))


DUMP = r"""
--
-- PostgreSQL database dump
--
\restrict SomeToken

SET standard_conforming_strings = on;
/* a comment; with /* another; */ inside
\connect this_is_no_command
*/
CREATE TABLE public.people (id integer GENERATED ALWAYS AS IDENTITY, name text, born date, "Odd; name" bytea);
CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $body$
/*
\no command */ SELECT 'a;b' $body$;

-- the rows; of people
COPY public.people (id, name, born, "Odd; name") FROM stdin;
1	it's; a "name"	2024-01-31	\\xdeadbeef
5	tab\there\nand a line\\	\N	\N
6		\N	\\x
\.

COPY public.people (id) FROM stdin;
\.

SELECT pg_catalog.setval('public.people_id_seq', 6, true);
INSERT INTO public.people (name) VALUES (E'it''s \' \\'), ('C:\dir\');
\unrestrict SomeToken
"""


def test_a_dump_of_pg_dump_is_restored_without_psql(postgres: Bench) -> None:
    postgres.write({"dump.sql": DUMP})
    query = postgres.build(postgres.step("dump.sql"))
    assert query('select id, name, born::text, "Odd; name" from people order by id') == [
        (1, 'it\'s; a "name"', "2024-01-31", b"\xde\xad\xbe\xef"),
        (5, "tab\there\nand a line\\", None, None),
        (6, "", None, b""),
        (7, "it's ' \\", None, None),
        (8, "C:\\dir\\", None, None),
    ]
    assert query("select public.f()") == [("a;b",)]


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("SELECT 1;\n\\connect other\n", 2),
        ("\\i other.sql\n", 1),
        ("\n\nCOPY t FROM stdin WITH (FORMAT csv);\n1,2\n\\.\n", 3),
    ],
)
def test_another_command_of_psql_is_refused_with_its_line_and_psql_named(script: str, line: int) -> None:
    with pytest.raises(ConfigError, match=f"dump.sql, line {line}: .* is a command of psql") as error:
        plain(script, "dump.sql")
    assert "psql -v ON_ERROR_STOP=1 -f dump.sql" in error.value.fix


def test_a_script_without_backslashes_is_not_touched() -> None:
    script = "COPY t FROM stdin; -- no rows, and a mistake of the user's"
    assert plain(script, "x.sql") is script


@settings(max_examples=25)
@given(
    st.lists(
        st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=8
    )
)
def test_any_text_comes_through_a_copy_block(postgres: Bench, values: list[str | None]) -> None:
    """The rows are written by PostgreSQL itself, with COPY TO."""
    import psycopg

    made: list[tuple[str | None, ...]] = []

    def go(target) -> None:
        with psycopg.connect(target.address.url()) as connection:
            connection.execute("CREATE TABLE t (i int, x text)")
            for number, value in enumerate(values):
                connection.execute("INSERT INTO t VALUES (%s, %s)", (number, value))
            with connection.cursor().copy("COPY t (i, x) TO STDOUT") as copy:
                rows = b"".join(bytes(part) for part in copy).decode()
            connection.execute("TRUNCATE t")
        target.execute(plain(f"COPY t (i, x) FROM stdin;\n{rows}\\.\n", "t.sql"))
        with psycopg.connect(target.address.url()) as connection:
            made.extend(connection.execute("SELECT x FROM t ORDER BY i").fetchall())
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        postgres.store.build("f" * 64, "db_copy", go)  # a key that no `Bench.build` has
    assert [value for (value,) in made] == values


WORDS = st.sampled_from(
    ["'a;b'", '"x;y"', "$$;\\q\n$$", "$t$ ' $t$", "-- ;'\n", "/* ' ; /* */ */", "E'\\';'", ";", " 1 ", "\n"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS | st.text(string.ascii_letters + " ,()", max_size=5), max_size=12))
def test_a_script_of_sql_alone_comes_out_as_it_went_in(words: list[str]) -> None:
    script = "".join(words)
    assert plain(script, "x.sql") == script
