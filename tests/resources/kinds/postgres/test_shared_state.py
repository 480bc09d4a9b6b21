"""Roles and settings belong to the whole server: what a test changed is put back, what another test does is not."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import psycopg
import pytest
from tests.fuse import BrokenOff

from seatrial.core import wait
from seatrial.errors import IsolationError, NeedsClone
from seatrial.isolation import restore
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.postgres.shared import state as shared
from seatrial.resources.kinds.postgres.shared.state import SharedState

TABLE = "create table t (id int)"


@pytest.fixture
def pair(embedded_store, endpoint, bench):
    """Two copies on one server, as two workers have them."""
    if embedded_store.abilities.log or endpoint.version < "16":
        pytest.skip("an older server can't tell whose transaction it was: a documented limit")
    with psycopg.connect(endpoint.admin.url(), autocommit=True) as admin:
        admin.execute("create role first login; create role second login password 'x'")
        yield bench(TABLE), bench(TABLE)

        def dropped() -> bool:
            with contextlib.suppress(psycopg.errors.DependentObjectsStillExist):
                admin.execute("drop role first; drop role second")
                return True
            return False

        assert wait.until(dropped, timeout=30)  # a database that was replaced is dropped in the background


def roles(one) -> set[str]:
    with one.connect() as app:
        return {name for (name,) in app.execute("select rolname from pg_roles")}


def test_a_role_that_a_test_creates_is_dropped_and_that_of_another_test_stays(pair) -> None:
    mine, other = pair
    before = roles(mine)
    mine.write("create role made_here", "insert into t values (1)")
    other.write("create role made_there")
    assert any("made_here" in note for note in mine.undo().notes)
    assert roles(mine) == before | {"made_there"}
    other.undo()
    assert roles(mine) == before


def test_a_role_with_rights_in_the_schema_is_dropped_when_the_clone_is_made(pair) -> None:
    mine, _ = pair
    before = roles(mine)
    mine.write(
        "create role granted",
        "grant select on t to granted",
        "create role owning",
        "create table own (id int)",
        "alter table own owner to owning",
    )
    mine.needs_clone()
    assert roles(mine) == before


def test_a_role_that_somebody_in_another_database_holds_fails_its_test_and_no_more(
    pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = pair
    monkeypatch.setattr(shared, "LOCKED", "50ms")
    before = state(mine)
    mine.write("create role held", "alter role second createdb")
    with other.connect(autocommit=False) as elsewhere:
        elsewhere.execute("alter default privileges for role held grant select on tables to first")
        with pytest.raises(IsolationError, match='the role "held" that the test created'):
            mine.copy.undo()
        elsewhere.rollback()
    mine.write("drop role held", "drop role second")
    mine.undo()
    assert state(mine) == before


def test_attributes_settings_and_memberships_of_roles_are_put_back(pair) -> None:
    mine, _ = pair
    mine.write(
        "alter role first nologin createdb",
        "alter role first set work_mem = '1MB'",
        "grant second to first",
        f"alter database {mine.name} set work_mem = '2MB'",
    )
    with mine.connect() as app:
        state = "select rolcanlogin, rolcreatedb, (select count(*) from pg_auth_members m where m.member = r.oid), (select count(*) from pg_db_role_setting s where s.setrole = r.oid) from pg_authid r where rolname = 'first'"
        assert app.execute(state).fetchone() == (False, True, 1, 1)
    mine.undo()
    with mine.connect() as app:
        assert app.execute(state).fetchone() == (True, False, 0, 0)
        assert app.execute("show work_mem").fetchone() == ("4MB",)


def test_a_role_that_a_test_drops_is_there_again(pair) -> None:
    mine, _ = pair
    mine.write("begin; savepoint a; drop role second; release a; commit")
    assert "second" not in roles(mine)
    mine.undo()
    assert "second" in roles(mine)


@pytest.mark.parametrize("whose", ["mine", "another worker's"])
def test_a_role_that_a_test_drops_is_there_again_though_somebody_had_rolled_the_same_back_before(pair, whose) -> None:
    mine, other = pair
    with (mine if whose == "mine" else other).connect(autocommit=False) as app:
        app.execute("drop role second")
        app.rollback()
    mine.write("drop role second")
    mine.undo()
    assert "second" in roles(mine)


def test_a_role_that_a_test_could_drop_only_the_second_time_is_there_again(pair) -> None:
    mine, _ = pair
    with mine.connect() as app, contextlib.suppress(psycopg.errors.DivisionByZero):
        app.execute("drop role second; select 1/0")
    mine.write("drop role second")
    mine.undo()
    assert "second" in roles(mine)


def test_a_role_that_each_of_several_tests_drops_is_there_again_after_each(pair) -> None:
    mine, _ = pair
    for _ in range(3):
        mine.write("drop role second", "create role of_the_test", "comment on role first is 'changed'")
        mine.undo()
        assert "second" in roles(mine)


def test_a_database_that_a_test_creates_is_dropped(pair) -> None:
    mine, _ = pair
    mine.write("create database made_by_a_test")
    assert any("made_by_a_test" in note for note in mine.undo().notes)


def test_a_comment_on_the_copy_does_not_make_it_a_stranger(pair) -> None:
    mine, _ = pair
    mine.write(f"comment on database {mine.name} is 'the app wrote this'")
    mine.undo()
    mine.copy.renew()
    assert mine.content() == mine.before


def test_what_only_a_server_of_its_own_can_hold_is_an_error_that_says_so(pair) -> None:
    mine, _ = pair
    mine.write("grant set on parameter log_statement to public")
    with pytest.raises(IsolationError, match="pg_parameter_acl"):
        mine.copy.undo()
    mine.write("revoke set on parameter log_statement from public")


def test_a_subscription_that_a_test_creates_takes_a_clone_and_is_gone(pair) -> None:
    mine, other = pair
    create = "create subscription {} connection 'host=nowhere' publication p with (connect = false)"
    mine.write(create.format("made_here"), "insert into t values (1)")
    other.write(create.format("made_there"))
    mine.needs_clone()
    with mine.connect() as app:
        assert app.execute("select subname from pg_subscription").fetchall() == [("made_there",)]
    other.needs_clone()
    mine.write(create.format("made_with_a_table"), "create table new (id int)")
    mine.needs_clone()
    with mine.connect() as app:
        left = "select (select count(*) from pg_subscription), (select count(*) from pg_replication_origin)"
        assert app.execute(left).fetchone() == (0, 0)


def test_a_subscription_that_a_test_creates_and_drops_costs_that_test_a_clone_and_no_error(pair) -> None:
    mine, _ = pair
    mine.write(
        "create subscription passing connection 'host=nowhere' publication p with (connect = false)",
        "alter subscription passing set (slot_name = none)",
        "drop subscription passing",
    )
    mine.needs_clone()


def test_a_replication_origin_that_a_test_creates_is_dropped_and_that_of_another_test_stays(pair) -> None:
    mine, other = pair
    mine.write("select pg_replication_origin_create('made_here')")
    other.write("select pg_replication_origin_create('made_there')")
    assert any("made_here" in note for note in mine.undo().notes)
    with mine.connect() as app:
        assert app.execute("select roname from pg_replication_origin").fetchall() == [("made_there",)]
    other.undo()


def test_a_setting_of_the_database_that_the_template_has_is_put_back_after_the_first_test_already(pair, bench) -> None:
    setting = "do $$ begin execute 'alter database ' || current_database() || ' set work_mem = 2048'; end $$"
    mine = bench(f"{TABLE}; {setting}")
    for _ in range(2):
        mine.write(f"alter database {mine.name} reset all")
        with mine.connect() as app:
            assert app.execute("show work_mem").fetchone() == ("4MB",)
        mine.undo()
        with mine.connect() as app:
            assert app.execute("show work_mem").fetchone() == ("2MB",)


def throw(error: Exception) -> None:
    raise error


def databases(one) -> set[str]:
    with one.connect() as app:
        return {name for (name,) in app.execute("select datname from pg_database")}


def test_a_database_that_was_there_before_the_test_is_never_dropped_and_a_change_of_it_is_told(pair, embedded) -> None:
    """Somebody's real one may be on the same server."""
    mine, _ = pair
    with psycopg.connect(embedded.admin.url(), autocommit=True) as somebody:
        somebody.execute("create database real")
        mine.write("grant connect on database real to second")
        with pytest.raises(IsolationError, match="real"):
            mine.copy.undo()
        assert "real" in databases(mine)
        somebody.execute("drop database real")


def test_what_a_test_makes_from_a_database_that_it_has_made_goes_with_it(pair) -> None:
    mine, _ = pair
    known, there = roles(mine), databases(mine)
    mine.write("create database tenant")
    with psycopg.connect(replace(mine.copy.address, database="tenant").url(), autocommit=True) as tenant:
        tenant.execute("create role of_the_tenant")
        tenant.execute("create database of_the_tenant")
    mine.undo()
    assert (roles(mine), databases(mine)) == (known, there)


def test_what_could_not_be_put_back_at_once_is_put_back_when_the_clone_is_made(pair, monkeypatch) -> None:
    """A deadlock with another worker's undo, for one: none can be had at will, so one is made up."""
    mine, _ = pair
    before = roles(mine)
    mine.write("create role made_here")
    with monkeypatch.context() as patch:
        patch.setattr(SharedState, "_rows", lambda *_, **__: throw(psycopg.errors.DeadlockDetected("made up")))
        with pytest.raises(NeedsClone):
            mine.copy.undo()
    mine.copy.renew()
    assert roles(mine) == before


def test_a_role_of_a_transaction_that_ends_just_before_the_clone_is_dropped(pair) -> None:
    mine, _ = pair
    before = roles(mine)
    with mine.connect(autocommit=False) as app:
        app.execute("create role made_at_the_last_moment")
        mine.copy.uncommitted_only()
        app.commit()
    mine.copy.renew()
    assert roles(mine) == before


def test_a_role_made_on_a_layer_goes_with_it_where_the_copy_was_cloned_meanwhile(pair) -> None:
    mine, _ = pair
    before = roles(mine)
    mine.write("create role of_the_layer", "insert into t values (1)")
    mine.copy.push()
    mine.copy.renew()
    mine.write("create role of_the_tear_down")
    mine.copy.pop()
    assert roles(mine) == before


def ours(one) -> set[str]:
    return {name for name in databases(one) if name.startswith("seatrial_")}


def rights(one) -> list[tuple[object, ...]]:
    """The databases besides those of ours, and who may do what in the copy."""
    with one.connect() as app:
        return app.execute(
            """select case when datname = current_database() then 'the copy' else datname end, datacl::text
            from pg_database where datname !~ '^(seatrial|copy)_' or datname = current_database() order by 1"""
        ).fetchall()


def state(one) -> list[tuple[object, ...]]:
    with one.connect() as app:
        return app.execute(
            """select r.rolname, r.rolcreatedb, r.rolcreaterole, s.setconfig, m.admin_option,
            shobj_description(r.oid, 'pg_authid') from pg_authid r
            left join pg_db_role_setting s on s.setrole = r.oid left join pg_auth_members m on m.member = r.oid
            where r.rolname !~ '^pg_' order by 1"""
        ).fetchall()


def test_what_a_layer_did_to_roles_goes_with_it_where_tests_on_it_have_changed_that(pair) -> None:
    mine, other = pair
    other.write("create role of_the_other")
    before = state(mine)
    mine.write(
        "create role of_the_layer",
        "create role dropped_by_a_test",
        "alter role first createdb",
        "alter role first set work_mem = '1MB'",
        "grant second to first",
    )
    mine.copy.push()
    on_it = state(mine)
    for _ in range(2):
        mine.write(
            "alter role of_the_layer createrole",
            "drop role dropped_by_a_test",
            "alter role first createrole nocreatedb",
            "alter role first set work_mem = '2MB'",
            "grant second to first with admin option",
        )
        mine.undo()
        assert state(mine) == on_it
    mine.copy.pop()
    assert state(mine) == before
    other.undo()


def test_it_is_known_whose_deletion_it_was_where_tests_of_two_workers_delete_at_the_same_time(pair) -> None:
    mine, other = pair
    mine.write(
        "create role third",
        "grant second to first, third",
        "alter role first set work_mem = '1MB'",
        "alter role third set work_mem = '1MB'",
        "comment on role first is 'the first'",
        "comment on role third is 'the third'",
    )
    mine.copy.push()
    other.copy.push()
    baseline = state(mine)
    for _ in range(2):
        mine.write("revoke second from first", "alter role first reset all", "comment on role first is null")
        mine.write("alter role third nologin")
        other.write("revoke second from third", "alter role third reset all", "comment on role third is null")
        mine.undo()
        of_the_other = [row for row in baseline if row[0] != "third"] + [("third", False, False, None, None, None)]
        assert state(mine) == sorted(of_the_other)
        other.undo()
        assert state(mine) == baseline
    other.copy.pop()
    mine.copy.pop()


def test_a_role_that_another_worker_drops_at_this_moment_is_not_made_again(pair, monkeypatch) -> None:
    mine, other = pair
    before = roles(mine)
    other.write("create role of_the_other")
    mine.write("create role made_here")
    mine.undo()  # it knows the other's role from here on
    mine.undo()  # and has read that its own was dropped
    mine.write("create role made_here")
    rows = SharedState._rows

    def late(self: SharedState, name: str, told: object) -> object:
        monkeypatch.undo()
        other.undo()
        return rows(self, name, told)

    monkeypatch.setattr(SharedState, "_rows", late)
    mine.undo()
    assert roles(mine) == before


def test_what_two_workers_delete_of_the_same_role_one_after_the_other_is_there_again_after_each(pair) -> None:
    mine, other = pair
    with mine.connect() as app:
        app.execute("comment on role first is 'the first'; grant second to first")
    mine.copy.push()
    other.copy.push()
    before = state(mine)
    for busy in (other, mine, other, other, mine):  # who is not busy learns of it when his next test begins
        assert busy.copy.ready()
        busy.write("comment on role first is null", "revoke second from first", "drop role second")
        busy.undo()
        assert state(mine) == before
    other.copy.pop()
    mine.copy.pop()


def test_the_role_that_we_are_is_put_back_as_well(pair, endpoint) -> None:
    mine, _ = pair
    before = state(mine)
    mine.write(f"alter role {endpoint.admin.user} connection limit 90 nocreatedb")
    mine.undo()
    assert state(mine) == before


def test_roles_are_put_back_after_a_vacuum_that_has_given_their_catalog_another_file(pair) -> None:
    mine, other = pair
    before = state(mine)
    other.write("vacuum full pg_authid", "create role made_there")
    mine.write("create role made_here", "alter role first createdb")
    other.undo()
    mine.undo()
    mine.write("drop role second")
    mine.undo()
    assert state(mine) == before


@pytest.mark.parametrize("whose", ["somebody", "layer"])
def test_a_database_that_the_test_drops_and_has_not_made_is_told(pair, embedded, whose: str) -> None:
    mine, _ = pair
    if whose == "layer":
        mine.write("create database real")
        mine.copy.push()
    else:
        with psycopg.connect(embedded.admin.url(), autocommit=True) as somebody:
            somebody.execute("create database real")
    mine.write("create database own", "drop database own", "drop database real")
    with pytest.raises(IsolationError, match="dropped a database"):
        mine.copy.undo()
    if whose == "layer":
        mine.copy.pop()


def test_a_template_database_that_a_test_creates_is_dropped(pair) -> None:
    mine, _ = pair
    there = databases(mine)
    mine.write("create database for_tenants is_template true", "alter role first createdb")
    mine.undo()
    assert databases(mine) == there


def test_what_the_server_refuses_to_put_back_even_after_the_clone_is_told(pair, monkeypatch) -> None:
    mine, _ = pair
    mine.write("create role made_here")
    with monkeypatch.context() as patch:
        patch.setattr(SharedState, "_rows", lambda *_, **__: throw(psycopg.errors.InsufficientPrivilege("made up")))
        with pytest.raises(NeedsClone):
            mine.copy.undo()
        with pytest.raises(IsolationError, match="can not be put back"):
            mine.copy.renew()
    mine.write("drop role made_here")


def test_where_only_a_scan_can_tell_a_subscription_takes_a_clone_and_is_gone(old, spec, bench_on) -> None:
    with contextlib.closing(Postgres().open(old, spec)) as store:
        one = bench_on(store, TABLE)
        for _ in range(2):
            one.write("create subscription passing connection 'host=nowhere' publication p with (connect = false)")
            assert "subscriptions" in one.needs_clone().what
            with one.connect() as app:
                assert app.execute("select count(*) from pg_subscription").fetchone() == (0,)
        store.drop(one.name)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("work", [(), ("alter table t add column more int",)], ids=["in place", "by a clone"])
def test_roles_are_put_back_before_the_next_test_where_a_time_out_breaks_that_off(
    pair, monkeypatch, moment, work
) -> None:
    mine, other = pair
    other.write("create role of_the_other")
    before = state(mine)
    mine.write("create role made_here", "drop role second", "alter role first createdb", *work)
    rows = SharedState._rows

    def break_off(self: SharedState, name: str, told: object) -> None:
        if name == "pg_authid":
            monkeypatch.undo()
            if moment == "after":
                rows(self, name, told)
            raise BrokenOff
        rows(self, name, told)

    monkeypatch.setattr(SharedState, "_rows", break_off)
    with pytest.raises(BrokenOff):
        restore.undo(mine.copy)
    restore.ready(mine.copy)
    assert state(mine) == before
    mine.write("insert into t values (1)", "alter role first createrole")
    mine.undo()
    assert state(mine) == before
    other.undo()


def test_a_role_that_is_written_late_is_put_back_before_the_next_test(pair) -> None:
    mine, other = pair
    before = state(mine)
    restore.ready(mine.copy)
    restore.undo(mine.copy)
    mine.write("create role late", "alter role first createdb")
    other.write("create role of_the_other")
    late = restore.ready(mine.copy)
    assert late is not None
    assert late.tables == ("pg_authid",)
    assert any("late" in note for note in late.notes)
    other.undo()
    assert restore.ready(mine.copy) is None
    assert state(mine) == before


def test_a_role_that_a_test_makes_from_within_a_database_of_a_layer_is_dropped(pair) -> None:
    mine, _ = pair
    before = roles(mine)
    mine.write("create database of_the_layer")
    mine.copy.push()
    with psycopg.connect(replace(mine.copy.address, database="of_the_layer").url(), autocommit=True) as tenant:
        tenant.execute("create role of_the_tenant")
    mine.undo()
    assert roles(mine) == before
    mine.copy.pop()


@pytest.mark.parametrize("work", ["create database of_the_layer", "grant create on database {} to first"])
def test_what_a_layer_did_to_databases_is_a_change_that_stays_until_the_layer_is_lifted(pair, work: str) -> None:
    """Without a row of a table: a fixture of wider scope may make no more than a database."""
    mine, other = pair
    before = rights(mine)
    other.copy.renew()
    assert not mine.copy.changed()
    mine.write(work.format(mine.name))
    assert mine.copy.changed()
    mine.copy.push()
    on_it = rights(mine)
    assert on_it != before
    for _ in range(2):
        assert restore.ready(mine.copy) is None
        mine.write("insert into t values (1)", "create database of_the_test")
        mine.undo()
        assert rights(mine) == on_it
    mine.copy.pop()
    assert rights(mine) == before


@pytest.mark.parametrize("layer", [False, True], ids=["alone", "on a layer"])
def test_a_database_that_is_kept_keeps_its_rows_and_no_role_of_the_test(pair, layer: bool) -> None:
    mine, other = pair
    before, there = state(mine), databases(mine)
    if layer:
        mine.write("create role of_the_layer", "create table layer (id int)", "grant select on layer to of_the_layer")
        mine.copy.push()
    mine.write(
        "create role owning",
        "create table own (id int)",
        "insert into own values (1)",
        "alter table own owner to owning",
        "grant select on t to owning",
        "alter role first createdb",
        "alter role second set work_mem = '1MB'",
        "create database of_the_test",
        "begin",
        "insert into t values (7)",
        "prepare transaction 'left'",
    )
    kept = mine.store.keep(mine.name, f"{mine.name}_kept")
    try:
        if layer:
            mine.copy.renew()
            assert ("of_the_layer" in roles(mine)) is layer
            mine.copy.pop()
        mine.copy.close()
        assert state(other) == before
        assert databases(other) - there <= {f"{mine.name}_kept", *ours(other)}
        with psycopg.connect(kept.url()) as look:
            assert look.execute("select * from own").fetchall() == [(1,)]
    finally:
        mine.store.drop(f"{mine.name}_kept")


def test_what_a_second_kept_database_on_a_layer_did_to_the_server_is_put_back_as_well(pair) -> None:
    mine, _ = pair
    mine.write("create table layer (id int)")
    mine.copy.push()
    for _ in range(2):
        mine.write("create role owning", "create table own (id int)", "alter table own owner to owning")
        kept = mine.store.keep(mine.name, f"{mine.name}_kept")
        mine.copy.renew()
        assert "owning" not in roles(mine)
        mine.store.drop(kept.database)
    mine.copy.pop()


SUBSCRIBE = "create subscription passing connection 'host=nowhere' publication p with (connect = false)"


@pytest.mark.parametrize("work", [(), ("create table new (id int)",)], ids=["alone", "with a table"])
def test_what_drops_the_subscriptions_of_a_clone_of_before_is_not_the_next_tests(pair, work) -> None:
    """It runs in that database: in the background, or before the next test begins."""
    mine, _ = pair
    mine.copy.renew()
    for _ in range(2):
        mine.write(SUBSCRIBE, *work)
        assert restore.undo(mine.copy).path == "clone"
        with mine.connect() as app:
            until = wait.now() + 10
            while app.execute("select 1 from pg_subscription").fetchall() and wait.now() < until:
                wait.pause(0.01)
        assert restore.ready(mine.copy) is None
        mine.write("insert into t values (1)")
        assert restore.undo(mine.copy).path == "log"


def test_a_subscription_is_gone_before_the_next_test_where_a_time_out_has_come_before_the_clone(pair) -> None:
    mine, _ = pair
    restore.ready(mine.copy)
    mine.write(SUBSCRIBE)
    with pytest.raises(NeedsClone):
        mine.copy.undo()
    restore.ready(mine.copy)
    with mine.connect() as app:
        here = "select count(*) from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())"
        assert app.execute(here).fetchone() == (0,)


def test_a_database_is_dropped_after_a_vacuum_that_has_given_their_catalog_another_file_and_a_clone(pair) -> None:
    mine, _ = pair
    there = databases(mine)
    mine.write("vacuum full pg_database")
    mine.copy.renew()
    mine.write("create database made_by_a_test")
    mine.undo()
    assert databases(mine) == there


def test_what_a_database_depends_on_is_put_back_after_a_clone_as_before_one(pair) -> None:
    mine, _ = pair
    depends = """select refobjid::regrole::text, deptype::text from pg_shdepend where classid = 'pg_database'::regclass
    and objid = (select oid from pg_database where datname = current_database()) order by 1, 2"""
    name = mine.copy.address.database
    mine.write(f"grant create on database {name} to first")
    mine.copy.push()
    with mine.connect() as app:
        before = app.execute(depends).fetchall()
    for _ in range(2):
        mine.write(f"alter database {name} owner to second", f"alter database {name} owner to first")
        mine.undo()
        with mine.connect() as app:
            assert app.execute(depends).fetchall() == before
        mine.copy.renew()
    mine.copy.pop()
