"""The audit finds every object, right, setting and leftover that is not as it was."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from seatrial.errors import IsolationError
from seatrial.isolation.audit import leak
from seatrial.resources.kinds.postgres.audit import Audit, catalogs

SCHEMA = """
create table base (id serial primary key, v text default 'x', n int check (n > 0));
create table child (id int references base);
create table plain (x int);
create type colour as enum ('red');
create domain short as varchar(5);
create function f() returns int language sql as 'select 1';
create function act() returns trigger language plpgsql as 'begin return new; end';
create trigger acts before insert on base for each row execute function act();
create function e() returns event_trigger language plpgsql as 'begin end';
create view seen as select * from base;
create rule quiet as on delete to base do instead nothing;
create policy own on base using (id > 0);
create index by_v on base (v);
create statistics st on v, n from base;
create publication pub for table base;
create table parts (id int) partition by range (id);
create table part partition of parts for values from (0) to (10);
create materialized view filled as select 1 as one;
insert into base (v, n) values ('a', 1);
"""

CHANGES = [
    ("create table new (id int)", ("pg_class", "public.new")),
    ("drop view seen", ("pg_rewrite", '"_RETURN" on public.seen')),
    ("create or replace view seen as select *, 1 as one from base", ("pg_rewrite", '"_RETURN" on public.seen')),
    ("alter table base add column w int default 3", ("pg_attribute", "public.base.w")),
    ("alter table base alter v set default 'y'", ("pg_attrdef", "for public.base.v")),
    ("alter table base alter v set not null", ("pg_attribute", "public.base.v")),
    ("alter table plain alter x type bigint", ("pg_attribute", "public.plain.x")),
    ("alter table base alter v set statistics 10", ("pg_attribute", "public.base.v")),
    ("alter table base alter v set storage external", ("pg_attribute", "public.base.v")),
    ("alter table base drop constraint base_n_check", ("pg_constraint", "base_n_check on public.base")),
    ("alter table child alter constraint child_id_fkey deferrable", ("pg_constraint", "child_id_fkey on public.child")),
    ("alter table base disable trigger acts", ("pg_trigger", "acts on public.base")),
    ("alter table base disable rule quiet", ("pg_rewrite", "quiet on public.base")),
    ("alter table plain set unlogged", ("pg_class", "public.plain")),
    ("alter table base set (fillfactor = 50)", ("pg_class", "public.base")),
    ("alter table base set (toast.autovacuum_enabled = off)", ("pg_class", "public.base")),
    ("alter table base enable row level security", ("pg_class", "public.base")),
    ("alter table base replica identity full", ("pg_class", "public.base")),
    ("alter policy own on base using (id > 1)", ("pg_policy", "own on public.base")),
    ("alter policy own on base to pg_monitor", ("pg_policy", "own on public.base")),
    ("cluster base using by_v", ("pg_index", "public.by_v")),
    ("drop index by_v; create index by_v on base (v desc)", ("pg_index", "public.by_v")),
    ("alter type colour add value 'green'", ("pg_enum", "public.colour green")),
    ("alter domain short set default 'x'", ("pg_type", "public.short")),
    ("create or replace function f() returns int language sql as 'select 2'", ("pg_proc", "public.f()")),
    ("alter function f() security definer", ("pg_proc", "public.f()")),
    ("alter function f() set work_mem = '1MB'", ("pg_proc", "public.f()")),
    ("grant select on base to public", ("pg_class", "public.base")),
    ("grant select (v) on base to public", ("pg_attribute", "public.base.v")),
    ("revoke usage on schema public from public", ("pg_namespace", "public")),
    ("revoke execute on function pg_sleep(float8) from public", ("pg_proc", "pg_catalog.pg_sleep(double precision)")),
    ("alter default privileges grant select on tables to public", ("pg_default_acl", "for role seatrial on tables")),
    ("alter table base owner to pg_monitor", ("pg_class", "public.base")),
    ("comment on column base.v is 'told'", ("pg_description", "table column public.base.v")),
    ("create extension citext", ("pg_extension", "citext")),
    ("create schema extra", ("pg_namespace", "extra")),
    ("create cast (colour as int) with inout", ("pg_cast", "(public.colour AS integer)")),
    ("alter sequence base_id_seq increment 5", ("pg_sequence", "public.base_id_seq")),
    ("alter sequence base_id_seq owned by none", ("pg_depend", "sequence public.base_id_seq")),
    ("select nextval('base_id_seq')", ("sequence", "public.base_id_seq")),
    ("select setval('base_id_seq', 1, false)", ("sequence", "public.base_id_seq")),
    ("alter statistics st set statistics 7", ("pg_statistic_ext", "public.st")),
    ("alter publication pub set (publish = 'insert')", ("pg_publication", "pub")),
    ("alter table parts detach partition part", ("pg_inherits", "public.part")),
    ("refresh materialized view filled with no data", ("pg_class", "public.filled")),
    ("create event trigger ev on sql_drop execute function e()", ("pg_event_trigger", "ev")),
    ("update pg_attribute set attnotnull = true where attrelid = 'child'::regclass and attname = 'id'", ("pg_attribute", "public.child.id")),
]  # fmt: skip


@pytest.fixture(scope="module")
def watch(shared: Any) -> Any:
    """One template for all; each test gets a copy."""
    return shared.watch(SCHEMA)


@pytest.fixture
def fresh(watch: Any) -> Any:
    """The watched database, made anew."""
    return watch.renew()


def rounds() -> list[list[tuple[str, tuple[str, str]]]]:
    """Changes that are told apart by what they change can share a copy."""
    made: list[list[tuple[str, tuple[str, str]]]] = []
    for change in CHANGES:
        fitting = [one for one in made if change[1] not in {expected for _, expected in one}]
        if not fitting:
            made.append([])
        (fitting or made)[-1].append(change)
    return made


@pytest.mark.parametrize("changes", rounds(), ids=lambda changes: f"{len(changes)} changes, {changes[0][0][:20]}")
def test_a_change_is_named(fresh: Any, changes: list[tuple[str, tuple[str, str]]]) -> None:
    for script, _ in changes:
        fresh.run(*script.split("; "))
    assert {expected for _, expected in changes} <= fresh.found()


def test_what_changes_no_meaning_is_no_difference(fresh: Any) -> None:
    fresh.run(
        "alter table base rename to other; alter table other rename to base",
        "vacuum full",
        "vacuum freeze",
        "analyze",
        "reindex table base",
        "create table passing (id serial primary key, v text); drop table passing",
        "alter table base disable trigger acts; alter table base enable trigger acts",
        "drop index by_v; create index by_v on base (v)",
        "comment on table base is 'x'; comment on table base is null",
        "create temporary table scratch (id serial primary key); create temporary view w as select 1; insert into scratch default values",
        "begin; drop table base cascade; rollback",
    )
    assert fresh.differences() == ()


def test_objects_are_compared_by_meaning_without_a_reference_as_well(databases: Any) -> None:
    watch = databases.watch(SCHEMA, reference=False)
    watch.run("drop index by_v", "create index by_v on base (v)")
    assert watch.differences() == ()
    watch.run("drop index by_v")
    assert ("pg_index", "public.by_v") in watch.found()


GRANT_ON_INITDBS = "revoke execute on function pg_sleep(float8) from public"


@pytest.mark.parametrize(
    "before", ["", "revoke execute on function pg_ls_dir(text) from pg_monitor"], ids=["", "altered before"]
)
def test_another_database_of_the_server_tells_what_initdb_had_made(databases: Any, before: str) -> None:
    """Where it can: a template may have altered some of that, and then the baseline has it."""
    watch = databases.watch(f"{SCHEMA}; {before}", reference=False, server=databases.make())
    assert [half for half in watch.baseline.meaning if half[1]] == ([("pg_proc", True)] if before else [])
    watch.run(GRANT_ON_INITDBS, "drop index by_v", "create index by_v on base (v desc)")
    found = {(one.kind, one.name): one.what for one in watch.differences()}
    assert found.keys() == {("pg_proc", "pg_catalog.pg_sleep(double precision)"), ("pg_index", "public.by_v")}
    assert found["pg_proc", "pg_catalog.pg_sleep(double precision)"].startswith("proacl was None, is [")


def test_what_initdb_had_made_and_a_test_made_anew_is_compared_by_meaning(databases: Any) -> None:
    watch = databases.watch(SCHEMA, reference=False, server=databases.make())
    watch.run(
        "drop function act cascade; drop function e; drop extension plpgsql; create extension plpgsql",
        "create function act() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger acts before insert on base for each row execute function act()",
        "create function e() returns event_trigger language plpgsql as 'begin end'",
    )
    assert watch.differences() == ()
    watch.run("alter language plpgsql owner to pg_monitor")
    [found] = watch.differences()
    assert (found.kind, found.name) == ("pg_language", "plpgsql")
    assert found.what.startswith("lanowner was "), found.what


def test_a_table_that_an_extension_has_put_among_the_catalogs_is_one_with_rows(databases: Any) -> None:
    watch = databases.watch(
        "create table nodes (name text primary key, port int); insert into nodes values ('a', 1);"
        " alter table nodes set schema pg_catalog",
        reference=False,
        server=databases.make(),
    )
    watch.run("update pg_catalog.nodes set port = port", "vacuum full pg_catalog.nodes")
    assert watch.differences() == ()
    watch.run("update pg_catalog.nodes set port = 2")
    [found] = watch.differences()
    assert (found.kind, found.name) == ("rows", "pg_catalog.nodes")
    watch.run("drop table pg_catalog.nodes")
    assert {("pg_class", "pg_catalog.nodes"), ("rows", "pg_catalog.nodes")} <= watch.found()


def test_a_difference_is_told_also_where_nobody_can_tell_any_more_what_was_before(databases: Any) -> None:
    other = databases.make()
    watch = databases.watch(SCHEMA, reference=False, server=other)
    watch.run("grant usage on schema information_schema to pg_monitor", GRANT_ON_INITDBS)
    with databases.connect(other) as connection:
        connection.execute(GRANT_ON_INITDBS)
    told = {(one.kind, one.name): str(one) for one in watch.differences()}
    assert told.keys() == {("pg_namespace", "information_schema"), ("pg_proc", "an object")}
    assert "is not as it was; which one can't be told" in told["pg_proc", "an object"]


def test_an_ordinary_role_audits_what_it_may_read(databases: Any) -> None:
    """It owns the database and most that is in it; what it may not read, or only in part, is no part of the audit."""
    name, role = databases.make("create schema closed; create table closed.t as select 1 as id"), f"poor_{os.getpid()}"
    with databases.connect() as admin:
        admin.execute(f"create role {role} login password 'x'; alter database {name} owner to {role}".encode())
    try:
        with databases.connect(name) as admin:
            admin.execute(b"create sequence closed.s; grant all on all tables in schema closed to public")
            admin.execute(b"grant all on all sequences in schema closed to public")
        mine = replace(databases.endpoint.admin, user=role, password="x", database=name)
        with psycopg.connect(mine.url(), autocommit=True) as own:
            own.execute(
                "create schema own; create table own.t (id serial primary key); create table own.hidden (id int)"
            )
            own.execute(
                "alter table own.hidden enable row level security; alter table own.hidden force row level security"
            )
            audit = Audit(lambda: psycopg.connect(mine.url()), server=databases.connect, settle=0.5)
            baseline = audit.baseline()
            assert audit.differences(baseline) == ()
            assert {"closed.t", "closed.s", "own.hidden"} <= set(baseline.unseen)
            own.execute("insert into own.t default values; create index by_id on own.t (id)")
            found = {(one.kind, one.name) for one in audit.differences(baseline)}
            assert {("rows", "own.t"), ("sequence", "own.t_id_seq"), ("pg_class", "own.by_id")} <= found
    finally:
        databases.drop()
        with databases.connect() as admin:
            admin.execute(f"drop role {role}".encode())


def test_a_setting_of_the_database_is_named(fresh: Any) -> None:
    fresh.run(f"alter database {fresh.name} set work_mem = '1MB'")
    assert fresh.found() == {("setting", f"database {fresh.name}")}


def test_a_physical_replication_slot_is_found_where_the_lease_has_the_whole_server(databases: Any) -> None:
    watch = databases.watch("", roles=None)
    watch.run("select pg_create_physical_replication_slot('held')")
    try:
        assert watch.found() == {("replication slot", "held")}
    finally:
        watch.run("select pg_drop_replication_slot('held')")


def test_roles_of_others_are_no_business_of_a_lease(databases: Any) -> None:
    script = "do $$ begin create role mine; create role theirs; exception when duplicate_object then null; end $$"
    watch = databases.watch(script, roles=("mine",))
    try:
        watch.run("alter role mine createdb", "alter role theirs createdb", "alter role mine password 'secret'")
        watch.run("alter role mine set work_mem = '1MB'", "grant pg_monitor to mine", "comment on role mine is 'x'")
        found = watch.differences()
        assert {(one.kind, one.name) for one in found} == {
            ("role", "mine"), ("password", "mine"), ("setting", "role mine"), ("membership", "mine in pg_monitor"), ("comment", "role mine"),
        }  # fmt: skip
        assert "secret" not in "".join(map(str, found))
    finally:
        watch.run("drop role mine", "drop role theirs")


def test_what_sessions_leave_is_named(fresh: Any) -> None:
    with fresh.connect() as holder, fresh.connect() as idle:
        holder.execute("select pg_advisory_lock(42)")
        holder.execute("create temporary table scratch (id int)")
        idle.execute("begin")
        idle.execute("insert into child values (null)")
        found = fresh.differences()
        idle.execute("rollback")
    assert {one.kind for one in found} == {"advisory lock", "temporary object", "open transaction"}
    assert fresh.differences() == (), "they end with their sessions"


def test_a_temporary_function_of_who_is_still_connected_changes_no_digest(fresh: Any) -> None:
    """It is there whenever the log was read: the meaning of each function would be read after every test."""
    with fresh.connect() as reader, fresh.connect() as connection:
        known = catalogs.find(connection)
        before = catalogs.digests(connection, known)
        reader.execute("create function pg_temp.f(int) returns int language sql as 'select 1'")
        assert catalogs.digests(connection, known) == before
        reader.execute("create function f(int) returns int language sql as 'select 1'")
        changed = {half for half, one in catalogs.digests(connection, known).items() if one != before[half]}
        assert changed == {("pg_depend", False), ("pg_proc", False)}


def test_a_prepared_transaction_is_named(fresh: Any) -> None:
    fresh.run("begin", "insert into child values (null)", "prepare transaction 'left'")
    assert fresh.found() == {("prepared transaction", "left")}
    fresh.run("rollback prepared 'left'")


def test_what_can_not_be_read_is_an_error_and_never_passes(fresh: Any) -> None:
    with fresh.connect() as holder:
        holder.execute(f"alter database {fresh.name} set work_mem = '1MB'".encode())
        fresh.run("update pg_class set relam = 0 where relname = 'child'")
        with pytest.raises(IsolationError, match="could not read"):
            fresh.differences()


def test_a_leak_is_an_error_with_its_rows_its_cause_and_the_way_out(fresh: Any) -> None:
    fresh.run("insert into child values (1)")
    error = leak("tests/test_users.py::test_create", "db", fresh.differences())
    assert (
        "After tests/test_users.py::test_create the database db does not equal its baseline: rows public.child"
        in str(error)
    )
    assert "(1) is too many (transaction " in str(error)
    assert error.cause
    assert "wait in the test for the threads and tasks that it started" in error.fix
    assert 'seatrial(db="clone")' in error.fix
