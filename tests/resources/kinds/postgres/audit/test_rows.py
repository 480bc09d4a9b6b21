"""The audit finds every row that is not as it was, and names it."""

from __future__ import annotations

from typing import Any

import pytest

SCHEMA = r'''
create table users (id serial primary key, name text, at timestamptz default '2024-01-01');
create table pairs (a int, b int, c text, primary key (b, a));
create table keyless (a int, b text);
create unlogged table cache (k text primary key);
create table parent (id int);
create table child (extra int) inherits (parent);
create table parts (id int, v text) partition by range (id);
create table parts_low partition of parts for values from (0) to (100);
create table empty (id int);
create schema "o'dd ""schema""";
create table "o'dd ""schema"""."ta%ble" ("i%s d" int primary key, v text);
insert into users (name) values ('ada'), ('bob'), (null);
insert into pairs values (1, 2, 'x'), (2, 1, 'x');
insert into keyless values (1, 'x'), (1, 'x'), (null, null);
insert into cache values ('a');
insert into child values (1, 2);
insert into parts values (5, 'five');
insert into "o'dd ""schema"""."ta%ble" values (1, 'x');
create materialized view view as select name from users;
'''


@pytest.fixture(scope="module")
def watched(shared: Any) -> Any:
    """One template for all; each test gets a copy."""
    return shared.watch(SCHEMA)


@pytest.fixture
def watch(watched: Any) -> Any:
    """The watched database, made anew."""
    return watched.renew()


@pytest.mark.parametrize(
    ("script", "table", "row"),
    [
        ("insert into users (name) overriding system value select 'eve'", "public.users", "[id=4] (4,eve,"),
        ("update users set name = 'adam' where id = 1", "public.users", "[id=1] (1,ada,"),
        ("update users set name = '' where id = 3", "public.users", '(3,"","2024-01-01 00:00:00+00")'),
        ("delete from users where id = 2", "public.users", "[id=2] (2,bob,"),
        ("update users set at = at + '1 microsecond' where id = 1", "public.users", "00:00:00.000001+00"),
        ("update pairs set c = 'y' where a = 1", "public.pairs", "[a=1, b=2] (1,2,x) became (1,2,y)"),
        ("delete from keyless where ctid = '(0,1)'", "public.keyless", "(1,x) is missing"),
        ("insert into keyless values (1, 'x')", "public.keyless", "(1,x) is too many"),
        ("insert into cache values ('b')", "public.cache", "[k=b] (b) is too many"),
        ("delete from child", "public.child", "(1,2) is missing"),
        ("insert into parent values (7)", "public.parent", "(7) is too many"),
        ("update parts set v = 'six'", "public.parts_low", "(5,five) is missing"),
        ("insert into empty values (null)", "public.empty", "() is too many"),
        (
            'update "o\'dd ""schema"""."ta%ble" set v = \'y\'',
            '"o\'dd ""schema"""."ta%ble"',
            '["i%s d"=1] (1,x) became (1,y)',
        ),
        ("select lo_from_bytea(4711, 'x')", "large objects", "[loid=4711, page=0]"),
        ("select lo_create(4712)", "large object owners", "[loid=4712]"),
    ],
)
def test_a_changed_row_is_named(watch: Any, script: str, table: str, row: str) -> None:
    watch.run(script)
    found = {found.name: str(found) for found in watch.differences() if found.kind == "rows"}
    assert row in found.pop(table)
    assert all(name.startswith("large object") for name in found)


def test_a_refreshed_view_is_told_from_its_table(watch: Any) -> None:
    watch.run("insert into users values (10, 'new')", "refresh materialized view view")
    assert watch.found() == {("rows", "public.users"), ("rows", "public.view")}


def test_a_row_that_was_changed_back_is_no_difference(watch: Any) -> None:
    watch.run(
        "update users set name = 'x'; update users set name = case id when 1 then 'ada' when 2 then 'bob' end",
        "truncate keyless; insert into keyless values (null, null), (1, 'x'), (1, 'x')",
        "delete from pairs; insert into pairs values (2, 1, 'x'), (1, 2, 'x')",
        "vacuum full",
        "analyze",
        "reindex table users",
        "refresh materialized view view",
    )
    assert watch.differences() == ()


def test_values_are_compared_whatever_a_role_or_database_sets(watch: Any) -> None:
    with watch.connect() as connection:
        for setting in (
            "datestyle = 'German'",
            "timezone = 'Asia/Tokyo'",
            "search_path = nowhere",
            "extra_float_digits = -5",
        ):
            connection.execute(f"alter database {watch.name} set {setting}".encode())
    assert {kind for kind, _ in watch.found()} == {"setting"}


def test_rows_of_a_large_table_are_named_from_the_reference(databases: Any) -> None:
    script = "create table big (id int primary key, v text); insert into big select g, md5(g::text) from generate_series(1, 20000) g"
    watch = databases.watch(script)
    watch.run(
        "update big set v = 'new' where id = 777; delete from big where id = 778; insert into big values (0, 'zero')"
    )
    [found] = watch.differences()
    assert found.what == "20000 rows, 20000 rows in the baseline"
    assert {(row.key, bool(row.before), row.after) for row in found.rows} == {
        ("id=777", True, "(777,new)"), ("id=778", True, ""), ("id=0", False, "(0,zero)"),
    }  # fmt: skip


def test_without_a_reference_rows_of_a_large_table_are_counted(databases: Any) -> None:
    watch = databases.watch("create table big as select generate_series(1, 2000) id", reference=False)
    watch.run("delete from big where id = 5")
    [found] = watch.differences()
    assert (found.name, found.what, found.rows) == ("public.big", "1999 rows, 2000 rows in the baseline", ())


def test_no_cast_operator_or_function_of_the_schema_can_hide_a_row(databases: Any) -> None:
    watch = databases.watch(
        """create table t (id int, v text);
        create function hide(t) returns text language sql as $$ select 'same' $$;
        create cast (t as text) with function hide(t);
        create function public.hashtextextended(text, bigint) returns bigint language sql as 'select 1::bigint';
        insert into t values (1, 'a')""",
    )
    watch.run("update t set v = 'b'")
    assert watch.found() == {("rows", "public.t")}


def test_row_level_security_hides_nothing_from_it(databases: Any) -> None:
    watch = databases.watch(
        "create table t (id int); alter table t enable row level security, force row level security"
    )
    watch.run("insert into t values (1)")
    assert watch.found() == {("rows", "public.t")}


def test_whoever_is_still_connected_and_wrote_to_the_table_is_named(watch: Any) -> None:
    with watch.databases.connect(watch.name, application_name="the app") as app:
        app.execute("insert into users (id, name) values (99, 'x') -- password = 'secret'")
        [found] = [found for found in watch.differences() if found.kind == "rows"]
    assert "(the app)" in found.writer
    assert "secret" not in str(found)


def test_a_writer_without_a_name_is_named_by_its_process(watch: Any) -> None:
    with watch.databases.connect(watch.name) as app:
        app.execute("insert into users (id, name) values (99, 'x')")
        pid = app.info.backend_pid
        [found] = [found for found in watch.differences() if found.kind == "rows"]
    assert f"pid {pid}, which last ran: insert into users" in found.writer
