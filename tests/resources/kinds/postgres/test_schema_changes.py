"""DDL is told by what the catalogs mean; a clone takes its place behind the same address."""

from __future__ import annotations

import threading

import psycopg
import pytest

SCHEMA = """
create table t (id serial primary key, v text); insert into t (v) values ('seed');
create type mood as enum ('sad'); create function f() returns int language sql as 'select 1'; create role_stub_placeholder
""".replace("create role_stub_placeholder", "create view w as select * from t;")


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("create table other (id int)", "relation other created"),
        ("drop table t cascade", "dropped"),
        ("alter table t add column extra int", "column extra created"),
        ("alter table t alter v set default 'x'", ""),
        ("alter table t alter v set not null", ""),
        ("alter table t add check (id > 0)", "constraint"),
        ("alter table t rename to other", "relation other changed"),
        ("create index on t (v)", "relation t_v_idx created"),
        ("create view w2 as select 1", "relation w2 created"),
        ("create or replace view w as select id, v from t where id > 1", ""),
        ("alter type mood add value 'ok'", "enum value"),
        ("create type pair as (a int)", "pair created"),
        ("create or replace function f() returns int language sql as 'select 2'", "function f changed"),
        (
            "create trigger x before insert on t execute function suppress_redundant_updates_trigger()",
            "trigger x created",
        ),
        ("alter table t disable trigger all; alter table t enable row level security", "relation t changed"),
        ("create policy p on t", "policy p created"),
        ("create schema tenant", "schema tenant created"),
        ("create extension hstore", "created"),
        ("comment on table t is 'x'", "comment created"),
        ("grant select on t to public", "relation t changed"),
        ("alter default privileges grant select on tables to public", "default privilege"),
        ("alter sequence t_id_seq increment 5", "sequence"),
        ("alter sequence t_id_seq owned by none", "dependency of sequence t_id_seq dropped"),
        ("alter table t set (toast.autovacuum_enabled = false)", "relation t changed"),
        ("alter table t replica identity full", "relation t changed"),
        ("alter table t set (fillfactor = 50)", "relation t changed"),
        ("create publication p for table t", "created"),
        ("create statistics s on id, v from t", "created"),
        ("create rule r as on insert to t do nothing", "rule or view r created"),
        ("create operator === (leftarg = int, rightarg = int, function = int4eq)", "created"),
    ],
)
def test_a_changed_schema_takes_a_clone_and_is_told_in_words(bench, statement: str, word: str) -> None:
    one = bench(SCHEMA)
    one.write("insert into t (v) values ('x')", statement)
    assert word in one.needs_clone().what
    one.write("insert into t (v) values ('x')")
    assert one.undo().path == one.path


@pytest.mark.parametrize(
    "statement",
    [
        "create temp table passing (id serial primary key, v text); create temp view tv as select * from passing; insert into passing (v) values ('x'); drop view tv; drop table passing",
        "begin; create table other (id int); alter table t add extra int; rollback",
        "analyze",
        "alter table t disable trigger user; alter table t enable trigger user",
        "begin; alter table t add constraint c check (id > 0); alter table t drop constraint c; commit",
        "create table other (id serial, v text); insert into other (v) values ('x'); drop table other",
        "create or replace function f() returns int language sql as 'select 1'",
        "truncate t",
        "reindex table t",
    ],
)
def test_work_that_leaves_the_schema_as_it_was_needs_no_clone(bench, statement: str) -> None:
    one = bench(SCHEMA)
    for _ in range(2):
        with one.connect() as app:
            app.execute("insert into t (v) values ('x')")
            app.execute(statement)
        one.undo()


def test_statements_that_refuse_transactions_are_undone(bench) -> None:
    one = bench(SCHEMA + "create index by_v on t (v)")
    one.write("vacuum full t", "insert into t (v) values ('x')")
    assert one.undo().path == one.path
    one.write("reindex table concurrently t", "create index concurrently other on t (v)")
    assert "relation" in one.needs_clone().what


def test_a_temporary_table_of_a_pooled_connection_does_not_stand_in_the_way(bench) -> None:
    one = bench(SCHEMA)
    with one.connect() as app:
        app.execute("create temp table passing as select generate_series(1, 10)")
        for _ in range(3):
            app.execute("insert into t (v) values ('x')")
            assert one.undo().path == one.path


def test_a_clone_is_behind_the_same_address_though_clients_connect_again_at_once(bench) -> None:
    one = bench(SCHEMA)
    stop = threading.Event()

    def insist() -> None:
        while not stop.is_set():
            try:
                with one.connect() as app:
                    app.execute("select 1")
            except psycopg.Error:
                pass

    threads = [threading.Thread(target=insist) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            one.write(f"create table extra_{number} (id int)")
            address = one.copy.address
            one.copy.renew()
            assert one.copy.address == address
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert one.content() == one.before


def test_settings_rights_limit_and_owner_of_the_database_itself_come_with_each_copy(bench, store) -> None:
    one = bench(
        """create table t (id int);
        do $$ begin execute format('alter database %I set search_path to "a b", public', current_database());
          execute format('revoke connect on database %I from public', current_database());
          execute format('alter database %I connection limit 77', current_database());
          execute format('alter database %I owner to pg_monitor', current_database()); end $$"""
    )
    for _ in range(2):
        with one.connect() as app:
            assert app.execute("show search_path").fetchone() == ('"a b", public',)
            acl, limit, owner = app.execute(
                """select datacl::text, datconnlimit, datdba::regrole::text from pg_database
                where datname = current_database()"""
            ).fetchone()
            assert "=Tc/" not in acl
            assert "=T/" in acl
            assert (limit, owner) == (77, "pg_monitor")
        one.copy.renew()
