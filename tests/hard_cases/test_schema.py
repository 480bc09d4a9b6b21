"""DDL, statements that refuse transactions, extensions, several databases, schemas and tenants."""

from __future__ import annotations

import pytest

from .apps import JOINABLE

ORDER = "insert into orders (customer_id) values (1) returning id"

DDL = {
    "create table": "create table made (id serial primary key)",
    "drop table": "drop table line cascade",
    "add column": "alter table product add column extra int default 7",
    "change type": "alter table without_key alter column v type varchar(99)",
    "create index": "create index on line (amount)",
    "create view": "create view w as select * from product",
    "create function": "create function f() returns int language sql as 'select 1'",
    "add enum value": "alter type mood add value 'calm'",
    "disable trigger": "alter table watched disable trigger after_row",
    "attach partition": (
        "create table measurement_2030 partition of measurement for values from ('2030-01-01') to ('2031-01-01')"
    ),
    "detach partition": "alter table measurement detach partition measurement_2021",
    "create tenant": "create schema tenant_c create table note (id serial primary key, v text)",
    "drop tenant": "drop schema tenant_b cascade",
    "create extension": "create extension citext",
    "drop extension": "drop extension hstore cascade",
    "drop matview": "drop materialized view stock_by_price",
    "set logged": "alter table cache set logged",
}


@pytest.mark.parametrize("what", DDL)
@pytest.mark.parametrize("isolation", ["reset", "clone"])
def test_ddl_that_was_committed_takes_a_fresh_clone_behind_the_same_url(sea, app_of, isolation, what):
    app, url = app_of("sqlalchemy"), sea.url("db")
    with sea.one_test(isolation, "db") as test:
        app.commit(DDL[what], ORDER)
    assert (test.told, test.paths["db"].path, sea.url("db")) == ([], "clone", url)
    if isolation == "reset":
        assert test.paths["db"].reason.startswith("the schema was changed")


def test_a_sequence_that_was_restarted_is_put_back_without_a_clone(sea, app_of):
    with sea.one_test("reset", "db") as test:
        app_of("sqlalchemy").commit("alter sequence ticket restart with 7", ORDER)
    assert (test.told, test.paths["db"].path) == ([], "log")


@pytest.mark.parametrize("what", [one for one in DDL if one != "add enum value"])
def test_ddl_in_rollback_mode_is_rolled_back_with_the_rest(sea, app_of, what):
    app = app_of("sqlalchemy")
    with sea.one_test("rollback", "db") as test:
        app.commit(DDL[what], ORDER)
    assert (test.told, test.paths["db"].path) == ([], "rollback")


def test_ddl_on_each_driver_takes_a_clone_and_the_next_test_writes_again(app, sea):
    for _ in range(2):
        with sea.one_test("reset", app.resource) as test:
            app.commit("create table made (id serial primary key)", "insert into made default values")
        assert (test.told, test.paths[app.resource].path) == ([], "clone")
        with sea.one_test("reset", app.resource) as test:
            assert app.commit(ORDER) == [(6,)]
        assert (test.told, test.paths[app.resource].path) == ([], "log")


@pytest.mark.parametrize(
    "statements",
    [
        ("create temp table passing (id serial)", "insert into passing default values", "drop table passing"),
        ("create table made (id serial)", "insert into made default values", "drop table made"),
        ("alter table product add column extra int", "alter table product drop column extra"),
        ("analyze product",),
        ("create or replace function note() returns trigger language plpgsql as $$ begin return new; end $$",),
    ],
    ids=lambda statements: statements[0],
)
def test_ddl_is_never_taken_for_less_than_it_is(sea, app_of, statements):
    """What comes of it is the baseline, by whatever path: a dropped column stays in the catalog, and takes a clone."""
    app = app_of("sqlalchemy")
    with sea.one_test("reset", "db") as test:
        app.commit(*statements, ORDER)
    assert test.told == []
    clone = any("add column" in one or "or replace" in one for one in statements)
    assert test.paths["db"].path == ("clone" if clone else "log")


def test_ddl_that_was_rolled_back_takes_no_clone(app, sea):
    with sea.one_test("reset", app.resource) as test:
        held = app.hold()
        held.run("create table made (id int)")
        held.run("alter table line add column extra int")
        held.rollback()
        app.commit(ORDER)
    assert (test.told, test.paths[app.resource].path) == ([], "log")


REFUSES = {
    "VACUUM": ("vacuum product", "log"),
    "VACUUM FULL": ("vacuum full product", "log"),
    "CLUSTER": ("cluster product using product_pkey", "log"),
    "REINDEX": ("reindex table product", "log"),
    "CREATE INDEX CONCURRENTLY": ("create index concurrently made on product (cost)", "clone"),
    "DROP INDEX CONCURRENTLY": ("drop index concurrently stock_by_price_cost_idx", "clone"),
    "REINDEX CONCURRENTLY": ("reindex table concurrently product", "clone"),
    "DETACH CONCURRENTLY": (
        "alter table measurement detach partition measurement_2021 concurrently",
        "refused: a default partition stands in the way",
    ),
}


@pytest.mark.parametrize("what", [one for one in REFUSES if not REFUSES[one][1].startswith("refused")])
def test_statements_refused_in_a_transaction_are_undone(app, sea, what):
    statement, path = REFUSES[what]
    for _ in range(2):
        with sea.one_test("reset", app.resource) as test:
            app.alone(statement, "update product set stock = 3 where id = 2", ORDER)
        assert (test.told, test.paths[app.resource].path) == ([], path)


@pytest.mark.parametrize("driver", JOINABLE)
@pytest.mark.parametrize("what", ["VACUUM", "CREATE INDEX CONCURRENTLY"])
def test_statements_refused_in_a_transaction_are_refused_by_the_server_in_rollback_mode(sea, app_of, driver, what):
    """The server's own words; the test that needs it is marked for reset."""
    app = app_of(driver)
    with sea.one_test("rollback", app.resource) as test:
        with pytest.raises(Exception, match="cannot run inside a transaction block"):
            app.commit(REFUSES[what][0])
        assert app.commit(ORDER) == [(6,)]
    assert test.told == []


def test_types_and_functions_of_an_extension_are_data_like_any_other(way):
    with way.one_test():
        way.app.commit("""update customer set extra = extra || '"k"=>"v"'::hstore where extra -> 'n' = '3'""")


def test_several_databases_are_brought_back_side_by_side(sea, app_of, app_loop):
    sync, asynchronous, plain = app_of("sqlalchemy"), app_of("sqlalchemy-async"), app_of("psycopg")
    for _ in range(2):
        with sea.one_test("reset", "db", "adb", "plain") as test:
            assert sync.commit(ORDER) == [(6,)]
            assert asynchronous.commit(ORDER, ORDER) == [(7,)]
            plain.commit("create table made (id int)")
        assert test.told == []
        assert {name: one.path for name, one in test.paths.items() if name != "large"} == {
            "db": "log",
            "adb": "log",
            "plain": "clone",
        }


def test_a_database_that_was_not_written_is_left_alone_when_another_is_cloned(sea, app_of):
    app, other = app_of("sqlalchemy"), app_of("psycopg")
    with sea.one_test("reset", "db", "plain"):
        before = other.commit(
            "select array_agg(pid order by pid) from pg_stat_activity where datname = current_database()"
        )
    with sea.one_test("clone", "db"):
        app.commit(ORDER)
    with sea.one_test("reset", "plain") as test:
        after = other.commit(
            "select array_agg(pid order by pid) from pg_stat_activity where datname = current_database()"
        )
    assert set(before[0][0]) & set(after[0][0])
    assert test.paths["plain"].path == "nothing"


def test_tenants_in_schemas_of_their_own_are_restored_by_name(way):
    for _ in range(2):
        with way.one_test():
            way.app.commit(
                "set local search_path = tenant_a",
                "insert into note (v) values ('second')",
                "update note set v = 'changed' where id = 1",
                "set local search_path = tenant_b",
                "insert into note (v) values ('first')",
            )
            assert way.app.commit("select id from tenant_b.note") == [(1,)]
            assert way.app.commit("select count(*) from tenant_a.note") == [(2,)]


def test_tenants_chosen_by_schema_translate_map_are_restored(sea, app_of):
    from sqlalchemy import Column, Integer, MetaData, Table, Text, insert

    note = Table("note", MetaData(schema="tenant"), Column("id", Integer, primary_key=True), Column("v", Text))
    engine = app_of("sqlalchemy").engine
    for isolation, path in (("reset", "log"), ("rollback", "rollback")):
        with sea.one_test(isolation, "db") as test:
            for schema, number in (("tenant_a", 2), ("tenant_b", 1)):
                chosen = engine.execution_options(schema_translate_map={"tenant": schema})
                with chosen.begin() as connection:
                    assert connection.execute(insert(note).values(v="x")).inserted_primary_key == (number,)
        assert (test.told, test.paths["db"].path) == ([], path)
