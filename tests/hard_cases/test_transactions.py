"""Commits, rollbacks, prepared transactions, savepoints, isolation levels, deferred constraints, and the clock."""

from __future__ import annotations

import psycopg
import pytest

from seatrial.errors import IsolationError

from .apps import JOINABLE, JOINED_BELOW_SQLALCHEMY, JOINED_ON_THE_WIRE

ORDER = "insert into orders (customer_id) values (1) returning id"


def test_app_commits_and_the_next_test_starts_from_the_baseline_with_the_same_ids(way):
    for _ in range(2):
        with way.one_test():
            assert way.app.commit(ORDER) == [(6,)]
            assert way.app.commit("update customer set email = 'new@example.org' where id = 3", ORDER) == [(7,)]
            assert way.app.commit("delete from line where id = 1", "select count(*) from orders") == [(7,)]


def test_app_commits_are_seen_by_every_other_connection_in_reset_and_clone(committing, sea):
    with committing.one_test():
        committing.app.commit(ORDER)
        with sea.connect(committing.app.resource) as other:
            assert other.execute("select count(*) from orders where id = 6").fetchone() == (1,)


def test_what_the_app_rolls_back_costs_no_undo_of_rows(app, sea):
    with sea.one_test("reset", app.resource) as test:
        held = app.hold()
        held.run("select * from product for share")
        held.run("delete from line")
        held.rollback()
        app.commit("select 1")
    assert (test.told, test.paths[app.resource].rows) == ([], 0)


@pytest.mark.parametrize("isolation", ["reset", "rollback", "clone"])
def test_what_only_reads_costs_no_undo(joinable, sea, isolation):
    for _ in range(2):
        with sea.one_test(isolation, joinable.resource) as test:
            joinable.commit("select * from product", "select * from now()")
        assert (test.told, test.paths[joinable.resource].rows) == ([], 0)


def test_raw_commit_and_rollback_sent_as_statements_are_undone(app, sea):
    with sea.one_test("reset", app.resource) as test:
        app.alone("BEGIN", ORDER, "COMMIT", "BEGIN", ORDER, "ROLLBACK", "BEGIN", ORDER, "END")
    assert (test.told, test.paths[app.resource].path, test.paths[app.resource].rows) == ([], "log", 2)


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK", "END", "ABORT"])
@pytest.mark.parametrize("driver", JOINED_BELOW_SQLALCHEMY)
def test_raw_commit_or_rollback_in_rollback_mode_is_told_and_what_escaped_is_undone(app_of, sea, driver, statement):
    app = app_of(driver)
    with sea.one_test("rollback", app.resource) as test:
        held = app.hold()
        held.run(ORDER)
        held.run(statement)
        held.run(ORDER)
        held.rollback()
    assert any("seatrial(" in error.fix and "reset" in error.fix for error in test.told)


@pytest.mark.parametrize(("statement", "kept"), [("COMMIT", 1), ("ROLLBACK", 0), ("END", 1), ("ABORT", 0)])
@pytest.mark.parametrize("driver", JOINED_ON_THE_WIRE)
def test_raw_commit_or_rollback_on_the_wire_in_rollback_mode_means_what_it_says(app_of, sea, driver, statement, kept):
    app = app_of(driver)
    with sea.one_test("rollback", app.resource) as test:
        app.alone("BEGIN", ORDER, statement, "BEGIN", ORDER, "ROLLBACK")
        assert app.commit("select count(*) from orders where id > 5") == [(kept,)]
    assert (test.told, test.paths[app.resource].path) == ([], "rollback")


def test_prepare_transaction_that_nobody_ends_is_rolled_back_and_told(app, sea):
    with sea.one_test("reset", app.resource) as test:
        app.alone("BEGIN", ORDER, "PREPARE TRANSACTION 'left'")
    assert test.told == []
    assert 'the prepared transaction "left" was rolled back' in test.paths[app.resource].reason


def test_prepare_transaction_that_nobody_ends_does_not_outlive_a_clone(app, sea):
    with sea.one_test("clone", app.resource) as test:
        app.alone("BEGIN", ORDER, "PREPARE TRANSACTION 'left'")
    assert (test.told, test.paths[app.resource].path) == ([], "clone")


@pytest.mark.parametrize("isolation", ["reset", "clone", "rollback"])
def test_a_transaction_that_is_prepared_between_two_tests_is_gone_when_the_next_begins(sea, isolation):
    with sea.one_test(isolation), sea.connect() as kept:
        kept.execute("SELECT 1")
    with sea.connect() as late:
        late.execute("BEGIN")
        late.execute("TRUNCATE line")
        late.execute("PREPARE TRANSACTION 'late'")
    with sea.one_test(isolation) as test, sea.connect() as other:
        assert other.execute("SELECT gid FROM pg_prepared_xacts").fetchall() == []
    assert test.told == []


@pytest.mark.parametrize("prepared", [False, True], ids=["open", "prepared"])
@pytest.mark.parametrize("what", ["COMMENT ON DATABASE {} IS 'mine'", "ALTER DATABASE {} CONNECTION LIMIT 50"])
@pytest.mark.parametrize("isolation", ["reset", "clone"])
def test_a_transaction_that_holds_the_database_itself_keeps_nobody_waiting(sea, isolation, what, prepared):
    with sea.one_test(isolation) as test:
        name = psycopg.conninfo.conninfo_to_dict(sea.url())["dbname"]
        left = sea.connect()
        left.execute("INSERT INTO orders (customer_id) VALUES (1)")
        left.execute("BEGIN")
        left.execute(what.format(name))
        if prepared:
            left.execute("PREPARE TRANSACTION 'left'")
    left.close()
    assert test.told == []


def test_who_holds_the_database_from_another_one_is_named_to_the_test(sea, monkeypatch):
    """And to whoever asks for a clone until he lets go, as `sea` does when the test is over."""
    monkeypatch.setattr("seatrial.resources.kinds.postgres.databases.PATIENCE", 0.2)
    name = psycopg.conninfo.conninfo_to_dict(sea.url())["dbname"]
    told = []

    def one_test() -> None:
        with sea.one_test("clone") as test, sea.connect() as connection:
            told.append(test)
            connection.execute("INSERT INTO orders (customer_id) VALUES (1)")
            elsewhere.execute(f"COMMENT ON DATABASE {name} IS 'mine'")

    with psycopg.connect(sea.url(), dbname="postgres", application_name="dba") as elsewhere:
        with pytest.raises(IsolationError) as raised:
            one_test()
        (error,) = told[0].told
        for each in (error, raised.value):
            assert each.what == f'somebody holds the database "{name}", and does not let go of it'
            assert f"pid {elsewhere.info.backend_pid} (dba)" in each.cause


@pytest.mark.parametrize("isolation", ["reset", "clone"])
def test_a_transaction_that_holds_a_table_for_itself_keeps_nobody_waiting(sea, isolation):
    with sea.one_test(isolation) as test, sea.connect() as left:
        left.execute("BEGIN")
        left.execute("TRUNCATE line")
        left.execute("PREPARE TRANSACTION 'left'")
    assert test.told == []


def test_commit_prepared_from_another_connection_is_undone_from_the_log(app, sea):
    with sea.one_test("reset", app.resource) as test:
        app.alone("BEGIN", ORDER, "PREPARE TRANSACTION 'handed over'")
        with sea.connect(app.resource) as other:
            other.execute("COMMIT PREPARED 'handed over'")
    assert (test.told, test.paths[app.resource].path) == ([], "log")


@pytest.mark.parametrize("driver", JOINABLE)
def test_prepare_transaction_in_rollback_mode_is_refused_and_told(app_of, sea, driver):
    app = app_of(driver)
    with sea.one_test("rollback", app.resource) as test:
        held = app.hold()
        held.run(ORDER)
        with pytest.raises(Exception, match="two phases"):
            held.run("PREPARE TRANSACTION 'escaped'")
        held.rollback()
    (error,) = test.told
    assert "reset" in error.fix


def test_nested_transactions_and_expected_errors_poison_neither_the_test_nor_the_next(way):
    for _ in range(2):
        with way.one_test():
            held = way.app.hold()
            assert held.run(ORDER) == [(6,)]
            held.run("savepoint one")
            with pytest.raises(Exception, match=r"customer_email_key|duplicate key"):
                held.run("insert into customer (email) values ('c1@example.org')")
            held.run("rollback to savepoint one")
            assert held.run(ORDER) == [(7,)]
            held.commit()
            refused = way.app.hold()
            with pytest.raises(Exception, match="line_amount_check"):
                refused.run("insert into line (order_id, product_id, amount) values (6, 1, 0)")
            refused.rollback()
            assert way.app.commit("select count(*) from orders where id > 5") == [(2,)]


def test_a_transaction_that_has_failed_and_is_still_open_is_no_affair_of_other_connections(way):
    with way.one_test():
        held = way.app.hold()
        held.run(ORDER)
        with pytest.raises(Exception, match="division by zero"):
            held.run("select 1 / 0")
        assert way.app.commit("select count(*) from orders") == [(5,)]
        assert way.app.commit(ORDER) == [(7,)]
        with pytest.raises(Exception, match="transaction is aborted"):
            held.run("select 1")
        assert way.app.commit("select count(*) from orders") == [(6,)]
        held.rollback()
        assert way.app.commit("select count(*) from orders") == [(6,)]


@pytest.mark.parametrize("driver", ["sqlalchemy", *JOINED_ON_THE_WIRE])  # tasks wait for each other's transactions
@pytest.mark.parametrize("isolation", ["reset", "rollback"])
def test_a_failed_transaction_can_go_back_to_its_savepoint_after_others_were_at_work(app_of, sea, driver, isolation):
    app = app_of(driver)
    with sea.one_test(isolation, app.resource) as test:
        held = app.hold()
        held.run(ORDER)
        held.run("savepoint here")
        held.run("delete from orders where id = 6")
        with pytest.raises(Exception, match="division by zero"):
            held.run("select 1 / 0")
        assert app.commit("select id from product where id = 1") == [(1,)]
        with pytest.raises(Exception, match="transaction is aborted"):
            held.run("release here")
        assert app.commit("select id from product where id = 2") == [(2,)]
        held.run("rollback to here")
        held.run(ORDER)
        held.commit()
        assert app.commit("select id from orders where id > 5 order by id") == [(6,), (7,)]
    assert test.told == []


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_isolation_level_set_by_the_app_is_real(committing, level):
    with committing.one_test():
        first = committing.app.hold()
        first.run(f"SET TRANSACTION ISOLATION LEVEL {level}")
        assert first.run("select stock from product where id = 1") == [(10,)]
        committing.app.commit("update product set stock = 9 where id = 1")
        with pytest.raises(Exception, match="could not serialize"):
            first.run("update product set stock = 8 where id = 1")
        first.rollback()


def test_isolation_level_set_in_rollback_mode_is_refused_by_name(sea, app_of):
    app = app_of("sqlalchemy")
    with sea.one_test("rollback", "db"):
        with pytest.raises(IsolationError, match=r"isolation_level|autocommit") as refused, app.engine.connect() as one:
            one.execution_options(isolation_level="SERIALIZABLE").exec_driver_sql(ORDER)
        assert "reset" in refused.value.fix


def test_isolation_level_set_in_rollback_mode_is_refused_by_name_for_async_engines(sea, app_of):
    app = app_of("sqlalchemy-async")
    with sea.one_test("rollback", "adb"):
        with pytest.raises(IsolationError) as refused:
            app.alone(ORDER)
        assert "reset" in refused.value.fix


@pytest.mark.parametrize("driver", JOINABLE)
def test_isolation_level_set_as_a_statement_in_rollback_mode_is_refused_and_told(app_of, sea, driver):
    app = app_of(driver)
    with sea.one_test("rollback", app.resource) as test:
        held = app.hold()
        with pytest.raises(Exception, match="isolation level SERIALIZABLE"):
            held.run("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        held.rollback()
    (error,) = test.told
    assert f'seatrial({app.resource}="reset")' in error.fix


def test_deferred_constraints_are_checked_by_the_apps_commit(way):
    for _ in range(2):
        with way.one_test():
            way.app.commit("insert into team values (3, 3)", "insert into person values (3, 3)")
            broken = way.app.hold()
            broken.run("insert into team values (4, 44)")
            with pytest.raises(Exception, match="team_head_fkey"):
                broken.commit()
            assert way.app.commit("select count(*) from team") == [(3,)]


def test_foreign_keys_in_a_circle_are_restored_in_the_seed(way):
    with way.one_test():
        way.app.commit("delete from team", "delete from person")
        way.app.commit("insert into person values (1, 7)", "insert into team values (7, 1)")


def test_now_moves_from_transaction_to_transaction_in_reset_and_clone(committing):
    with committing.one_test():
        ((first,),) = committing.app.commit("insert into orders (customer_id) values (1) returning began")
        ((second,),) = committing.app.commit("insert into orders (customer_id) values (1) returning began")
        assert first < second


def test_now_stands_still_in_rollback_mode_and_clock_timestamp_moves(joinable, sea):
    with sea.one_test("rollback", joinable.resource):
        (first,) = joinable.commit("select now(), clock_timestamp()")
        (second,) = joinable.commit("select now(), clock_timestamp()")
        assert (first[0], first[1] < second[1]) == (second[0], True)


def test_a_raw_connection_in_rollback_mode_is_named_and_what_it_committed_is_undone(sea):
    with psycopg.connect(sea.url("db"), application_name="worker") as other, sea.one_test("rollback", "db") as test:
        other.execute(ORDER)
        other.commit()
    (error,) = test.told
    assert "worker" in error.cause
    assert 'seatrial(db="reset")' in error.fix


def test_a_connection_that_was_opened_before_its_test_is_named_and_what_it_committed_is_undone(sea):
    """An app that keeps one connection of its own, outside any pool: nobody can replace it."""
    sea.start("plain")
    with sea.connect("plain", application_name="lone") as lone, sea.one_test("rollback", "plain") as test:
        lone.execute(ORDER)
    (error,) = test.told
    assert "lone" in error.cause
    assert 'seatrial(plain="reset")' in error.fix
