"""What belongs to the whole server: roles, memberships, settings, databases; and several workers on one server."""

from __future__ import annotations

import pytest

ORDER = "insert into orders (customer_id) values (1) returning id"

STATE = {
    "a role": "create role made_by_a_test login",
    "a setting of a role": "alter role test set work_mem = '9MB'",
    "a setting of the database": "do $$ begin execute 'alter database ' || current_database() || ' set work_mem = ''9MB'''; end $$",
    "a membership": "grant pg_monitor to test",
    "a limit of the database": "do $$ begin execute 'alter database ' || current_database() || ' connection limit 77'; end $$",
    "rights on the database": "do $$ begin execute 'grant create on database ' || current_database() || ' to public'; end $$",
    "a comment on a role": "comment on role test is 'x'",
    "a comment on the database": "do $$ begin execute 'comment on database ' || current_database() || ' is ''x'''; end $$",
}


@pytest.mark.parametrize("what", STATE)
@pytest.mark.parametrize("isolation", ["reset", "clone"])
def test_state_of_the_server_that_a_test_changed_is_put_back(sea, app_of, isolation, what):
    app = app_of("sqlalchemy")
    for _ in range(2):
        with sea.one_test(isolation, "db") as test:
            app.commit(STATE[what], ORDER)
        assert test.told == []


@pytest.mark.parametrize("what", ["a role", "a setting of a role", "a membership"])
def test_state_of_the_server_is_rolled_back_in_rollback_mode(sea, app_of, what):
    with sea.one_test("rollback", "db") as test:
        app_of("sqlalchemy").commit(STATE[what], ORDER)
    assert (test.told, test.paths["db"].path) == ([], "rollback")


def test_a_role_that_owns_and_may_do_things_here_is_gone_with_them(sea, app_of):
    with sea.one_test("reset", "db") as test:
        app_of("sqlalchemy").commit(
            "create role made_by_a_test", "grant insert on line to made_by_a_test", "create table made (id int)"
        )
    assert (test.told, test.paths["db"].path) == ([], "clone")


def test_a_database_that_a_test_creates_is_dropped(sea, app_of):
    with sea.one_test("reset", "db") as test:
        app_of("sqlalchemy").alone("create database made_by_a_test")
        assert test.told == []
    with sea.connect("db") as app:
        assert app.execute("select from pg_database where datname = 'made_by_a_test'").fetchone() is None


def test_alter_system_leaves_no_log_and_is_a_documented_limit(sea):
    """It is no row of any table: nothing can tell that a test did it, so nothing puts it back."""
    with sea.one_test("reset", "db") as test, sea.connect("db") as app:
        app.execute("alter system set application_name = 'set by a test'")
    with sea.connect("db") as app:
        found = app.execute("select count(*) from pg_file_settings where name = 'application_name'").fetchone()
        app.execute("alter system reset application_name")
    assert (test.told, test.paths["db"].path, found) == ([], "nothing", (1,))


WORKERS = {
    "pyproject.toml": """
        [tool.seatrial.resources.db]
        kind = "postgres"
        schema = "schema.sql"
        """,
    "schema.sql": "create table t (id serial primary key, v text); insert into t (v) values ('seed');",
    "test_workers.py": """
        import pytest

        @pytest.mark.parametrize("number", range(24))
        def test_each_starts_from_the_baseline(db, number):
            role, mine = f"made_by_{number}", "select count(*) from pg_roles where rolname like 'made_by_%'"
            db.autocommit = True
            assert db.execute("select id, v from t").fetchall() == [(1, "seed")]
            assert db.execute("insert into t (v) values ('x') returning id").fetchone() == (2,)
            db.execute("update t set v = 'changed' where id = 1")
            if number % 3 == 0:
                db.execute(f"create role {role}")
                db.execute(f"alter role {role} set work_mem = '9MB'")
            if number % 4 == 0:
                db.execute("alter table t add column extra int")
        """,
}


def test_parallel_workers_on_one_server_undo_their_own_writes_roles_and_ddl_and_nobody_elses(project):
    outcome = project.write(WORKERS).pytest("-n", "3", "--seatrial-explain")
    assert outcome.counts() == {"passed": 24}, outcome.text
    assert project.pytest("-n", "3").counts() == {"passed": 24}
