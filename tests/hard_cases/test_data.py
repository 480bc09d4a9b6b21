"""Sequences, identity, cascades, partitions, triggers, unlogged and large tables, materialized views, large objects."""

from __future__ import annotations

import pytest

from .apps import JOINABLE

ORDER = "insert into orders (customer_id) values (1) returning id"


@pytest.fixture(params=["reset", "rollback", "clone"])
def anywhere(request, sea, app_of):
    """One test of each isolation, twice over; the path is that of its isolation."""

    def run(work, *, path="log"):
        app = app_of("sqlalchemy")
        paths = {"reset": path, "rollback": "rollback", "clone": "clone"}
        for _ in range(2):
            with sea.one_test(request.param, "db") as test:
                work(app)
            assert (test.told, test.paths["db"].path) == ([], paths[request.param])

    run.isolation = request.param
    return run


def test_sequences_start_anew_however_far_they_were_moved(anywhere):
    def work(app):
        for number in range(40):
            assert app.commit("select nextval('ticket'), nextval('countdown')") == [(100 + number, 10 - number)]
        app.commit("select setval('ticket', 5000)")
        assert app.commit("select nextval('ticket')") == [(5001,)]

    anywhere(work)


def test_sequences_that_only_a_rolled_back_transaction_moved_start_anew(app, sea):
    for _ in range(2):
        with sea.one_test("reset", app.resource) as test:
            held = app.hold()
            assert held.run(ORDER) == [(6,)]
            assert held.run("select nextval('ticket')") == [(100,)]
            held.rollback()
        assert (test.told, test.paths[app.resource].path) == ([], "log")


def test_sequences_with_a_cache_start_anew_in_pooled_connections(lone, sea):
    """The server gives each connection twenty numbers at once, and these live on in it."""
    for _ in range(2):
        with sea.one_test("reset", lone.resource):
            assert lone.commit("insert into cached_id (v) values ('x') returning id") == [(1,)]


def test_identity_columns_start_anew(anywhere):
    def work(app):
        for number in range(35):
            insert = f"insert into customer (email) values ('new{number}') returning id"
            assert app.commit(insert) == [(31 + number,)]
        app.commit("insert into customer (id, email) overriding system value values (900, 'given')")
        app.commit("insert into line (id, order_id, product_id, amount) values (77, 1, 1, 1)")
        assert app.commit("insert into line (order_id, product_id, amount) values (1, 1, 1) returning id") == [(6,)]

    anywhere(work)


def test_cascades_give_the_seed_rows_back(anywhere):
    def work(app):
        app.commit("delete from customer where id <= 3")
        assert app.commit("select count(*) from line") == [(2,)]
        app.commit("update product set name = 'renamed' where id = 1")

    anywhere(work)


def test_rows_without_a_key_and_of_inherited_tables_are_given_back(anywhere):
    def work(app):
        app.commit("update without_key set v = 'changed' where v = 'same'", "delete from without_key where v = 'other'")
        app.commit(
            "delete from parent", "insert into child (v, more) values ('n', 'n')", "insert into parent values (9)"
        )

    anywhere(work)


def test_the_same_seed_rows_are_given_back_again_and_again(app, sea):
    for _ in range(4):
        with sea.one_test("reset", app.resource) as test:
            app.commit("update product set stock = stock + 1", "delete from line")
            app.commit("update product set stock = stock + 1 where id = 1")
        assert (test.told, test.paths[app.resource].path) == ([], "log")


def test_partitions_are_restored_each_by_itself(anywhere):
    def work(app):
        app.commit("insert into measurement (taken, v) select date '2021-03-01' + n, n from generate_series(1, 5) n")
        app.commit("insert into measurement (taken, v) values ('1999-01-01', 1)")
        app.commit("update measurement set taken = '2021-06-01' where id <= 3")
        app.commit("delete from measurement_2020 where id > 35")

    anywhere(work)


def test_triggers_of_all_kinds_fire_in_the_test_and_never_in_the_undo(anywhere):
    def work(app):
        app.commit("insert into watched (v) values ('three')", "update watched set v = 'x'", "delete from watched")
        app.commit("insert into watched_view (v) values ('nowhere')", "insert into ruled values ('r')")
        fired = {what for (what,) in app.commit("select what from trail")}
        assert {
            "before_row INSERT",
            "after_row UPDATE",
            "after_statement DELETE",
            "at_commit INSERT",
            "replicas_too DELETE",
            "instead INSERT",
            "by a rule",
        } <= fired

    anywhere(work)


def test_unlogged_tables_empty_and_seeded_are_restored(anywhere):
    def work(app):
        app.commit("insert into cache values ('a', 'b')", "update warm_cache set value = 'changed' where id < 4")
        app.commit(
            "delete from warm_cache where id = 9", "insert into warm_cache (key, value) values ('new', 'v')", ORDER
        )

    anywhere(work)


def test_unlogged_tables_alone_are_restored_though_the_log_says_nothing(app, sea):
    for _ in range(2):
        with sea.one_test("reset", app.resource) as test:
            app.commit("update warm_cache set value = 'changed'", "insert into cache values ('a', 'b')")
        assert (test.told, test.paths[app.resource].path) == ([], "log")


@pytest.mark.parametrize("concurrently", ["", "concurrently"])
def test_materialized_views_hold_what_they_held(anywhere, concurrently):
    def work(app):
        app.commit("update product set stock = 99 where id = 1")
        app.commit(f"refresh materialized view {concurrently} stock_by_price")
        assert app.commit("select stock from stock_by_price where cost = 1") == [(99,)]

    anywhere(work)


def test_materialized_views_that_were_refreshed_and_not_changed_take_no_clone(app, sea):
    with sea.one_test("reset", app.resource) as test:
        app.commit("refresh materialized view stock_by_price")
    assert (test.told, test.paths[app.resource].path) == ([], "log")


def test_truncated_small_tables_are_filled_again(anywhere):
    def work(app):
        app.commit("truncate line, without_key", "truncate customer restart identity cascade")
        assert app.commit("insert into customer (email) values ('first') returning id") == [(1,)]

    anywhere(work)


def test_row_level_security_hides_no_row_from_the_undo(anywhere):
    def work(app):
        app.commit("insert into guarded values (2, 'mine')", "delete from guarded where id = 1")

    anywhere(work)


def test_large_objects_where_the_baseline_has_none_are_undone_from_the_log(anywhere):
    def work(app):
        ((oid,),) = app.commit("select lo_from_bytea(0, 'new')")
        assert bytes(app.commit(f"select lo_get({oid})")[0][0]) == b"new"

    anywhere(work)


def test_a_large_object_of_the_baseline_that_was_written_takes_a_clone(sea):
    for _ in range(2):
        with sea.one_test("reset", "large") as test, sea.connect("large") as app:
            app.execute("select lo_put(oid, 0, 'changed') from pg_largeobject_metadata")
        assert (test.told, test.paths["large"].path) == ([], "clone")


@pytest.mark.parametrize("isolation", ["reset", "clone"])
def test_a_large_seeded_table_gets_back_the_rows_that_changed_and_no_others(sea, isolation):
    for _ in range(2):
        with sea.one_test(isolation, "large") as test, sea.connect("large") as app:
            app.execute("update big set v = 'changed' where id % 10000 = 1")
            app.execute("delete from big where id between 500 and 509")
            app.execute("insert into big select n, 'new' from generate_series(200001, 200010) n")
        path, rows = test.paths["large"].path, test.paths["large"].rows
        assert (test.told, path) == ([], "log" if isolation == "reset" else "clone")
        assert rows == (40 if isolation == "reset" else 0)


def test_a_large_seeded_table_that_was_rewritten_takes_a_clone(sea):
    with sea.one_test("reset", "large") as test, sea.connect("large") as app:
        app.execute("truncate big")
    assert (test.told, test.paths["large"].path) == ([], "clone")


@pytest.mark.parametrize("driver", JOINABLE)
def test_copy_writes_are_undone_like_any_other(sea, app_of, driver):
    app = app_of(driver)
    with sea.one_test("reset", app.resource) as test, sea.connect(app.resource) as other:
        with other.cursor().copy("copy without_key from stdin") as copy:
            copy.write("from a file\n" * 1000)
        assert app.commit("select count(*) from without_key") == [(1003,)]
    assert (test.told, test.paths[app.resource].path) == ([], "log")


@pytest.mark.parametrize("driver", ["sqlalchemy", "asyncpg"])
def test_seed_data_of_session_and_class_scope_is_the_baseline_of_the_tests_inside(sea, app_of, driver):
    app = app_of(driver)
    seen = "select (select count(*) from orders), (select count(*) from line), (select stock from product where id = 1)"

    def spoil(expected):
        for _ in range(2):
            with sea.one_test("reset", app.resource) as test:
                assert app.commit(seen) == [expected]
                app.commit("delete from line", "update product set stock = 99", ORDER)
            assert (test.told, test.paths[app.resource].path) == ([], "log")

    with sea.layer("session", app.resource, lambda: app.commit(ORDER, "update product set stock = 7 where id = 1")):
        with sea.layer("class", app.resource, lambda: app.commit("delete from line where id = 5", ORDER)):
            spoil((7, 4, 7))
        spoil((6, 5, 7))
    spoil((5, 5, 10))
