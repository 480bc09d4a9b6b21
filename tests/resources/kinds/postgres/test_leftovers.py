"""Whoever is killed leaves nothing on a server that lasts: who comes next puts back what belongs to the whole server.

A run that is killed ends with its connections: a store that is closed, and has dropped no copy, is as one.
"""

from __future__ import annotations

import contextlib
import dataclasses

import psycopg
import pytest

from seatrial.resources.kinds.postgres import Postgres

from .conftest import FORGETFUL

SCHEMA = "create table t (id int)"
STATE = """
select r.rolname, r.rolcreatedb, r.rolpassword, s.setconfig, m.roleid::regrole::text, shobj_description(r.oid, 'pg_authid')
from pg_authid r left join pg_db_role_setting s on s.setrole = r.oid left join pg_auth_members m on m.member = r.oid
where r.rolname !~ '^pg_'
union all select datname, null, null, null, null, null from pg_database where datname !~ '^(seatrial|copy)_'
order by 1, 5
"""


class Sea:
    """One server of ours, which lasts, and the runs that come one after the other."""

    def __init__(self, endpoint, spec, bench_on) -> None:
        self._endpoint = dataclasses.replace(endpoint, owned=True)
        self._spec, self._bench_on = spec, bench_on
        self.stack = contextlib.ExitStack()
        self.admin = self.stack.enter_context(psycopg.connect(endpoint.admin.url(), autocommit=True))

    def open(self):
        store = Postgres().open(self._endpoint, self._spec)
        self.stack.callback(store.close)
        return store

    def bench(self, schema: str = SCHEMA):
        return self._bench_on(self.open(), schema)

    def state(self) -> list[tuple[object, ...]]:
        return self.admin.execute(STATE).fetchall()


@pytest.fixture
def sea(request, another_server, spec, bench_on):
    with another_server(*getattr(request, "param", ())) as endpoint:
        one = Sea(endpoint, spec, bench_on)
        with one.stack:
            one.admin.execute(
                "create role first createdb; create role second login password 'x'; create role third;"
                "alter role second set work_mem = '1MB'; grant first to second; comment on role first is 'before'"
            )
            one.open().close()
            yield one


CHANGES = (
    "create role made createrole",
    "alter role made login password 'y'",
    "grant first to made",
    "alter role first nocreatedb",
    "comment on role first is 'changed'",
    "alter role second set work_mem = '2MB'",
    "alter role second rename to renamed",
    "grant third to first",
    "drop role third",
    "create database made_by_a_test",
    "create table own (id int)",
    "alter table own owner to made",
)


def test_what_a_killed_run_did_to_the_whole_server_is_put_back_by_the_next(sea) -> None:
    before = sea.state()
    for layer in (False, True):
        one = sea.bench()
        if layer:
            one.write("create role of_the_layer", "insert into t values (1)")
            one.copy.push()
            one.write("create table more (id int)")
            one.copy.renew()
        one.write(*CHANGES)
        with psycopg.connect(
            dataclasses.replace(one.copy.address, database="made_by_a_test").url(), autocommit=True
        ) as tenant:
            tenant.execute("create role of_the_tenant")
        assert sea.state() != before
        one.store.close()
        sea.open().close()
        assert sea.state() == before


def test_roles_that_a_killed_run_has_not_made_stay(sea) -> None:
    """Somebody's, and those of a schema, also where a test of it has changed them; and those of a development database."""
    sea.admin.execute("create role somebody")
    one = sea.bench("create role of_the_schema; create table t (id int); grant select on t to of_the_schema")
    sea.admin.execute("create role of_somebody_meanwhile")
    dev = sea.bench()
    address = dev.store.keep(dev.name, "db_dev", forever=True)
    with psycopg.connect(address.url(), autocommit=True) as developer:
        developer.execute("create role of_the_developer")
    one.write("alter role of_the_schema createdb", "alter role of_somebody_meanwhile createdb", "create role made")
    one.store.close()
    dev.store.close()
    sea.open().close()
    there = {row[0] for row in sea.state()}
    assert there >= {"somebody", "of_the_schema", "of_somebody_meanwhile", "of_the_developer"}
    assert "made" not in there


def test_what_a_run_that_lives_is_at_is_left_alone_when_another_was_killed(sea) -> None:
    before = sea.state()
    living, killed = sea.bench(), sea.bench()
    living.write("create role of_the_living", "alter role first nocreatedb")
    killed.write("create role of_the_killed")
    killed.store.close()
    third = sea.bench()
    there = {row[0] for row in sea.state()}
    assert "of_the_living" in there
    assert "of_the_killed" not in there
    noted = "select count(*) from seatrial_copies"
    assert sea.admin.execute(noted).fetchone() == (2,), "what was put back is not looked for again"
    third.store.close()
    living.undo()
    assert sea.state() == before
    living.write("create role of_the_living")
    living.store.close()
    sea.open().close()
    assert sea.state() == before


def test_what_can_not_be_put_back_while_others_live_is_tried_again_when_they_have_ended(sea) -> None:
    sea.admin.execute("create database of_somebody")
    before = sea.state()
    living, killed = sea.bench(), sea.bench()
    killed.write("create role of_the_killed")
    address = dataclasses.replace(killed.copy.address, database="of_somebody")
    with psycopg.connect(address.url(), autocommit=True) as somebody:
        somebody.execute("create table held (id int); alter table held owner to of_the_killed")
        killed.store.close()
        sea.open().close()
        assert "of_the_killed" in {row[0] for row in sea.state()}
        somebody.execute("drop table held")
    living.store.close()
    sea.open().close()
    assert sea.state() == before


def test_a_run_that_ends_by_itself_leaves_nothing_to_look_for(sea) -> None:
    one = sea.bench()
    one.write("create role made")
    one.undo()
    one.store.drop(one.name)
    assert sea.admin.execute("select count(*) from seatrial_copies").fetchone() == (0,)


@pytest.mark.parametrize("layer", [False, True], ids=["alone", "on a layer"])
def test_what_is_dropped_before_it_was_put_back_is_looked_for(sea, layer: bool) -> None:
    before = sea.state()
    one = sea.bench()
    one.write("create role made")
    if layer:
        one.copy.push()
    one.store.drop(one.name)
    one.store.close()
    sea.open().close()
    assert sea.state() == before


@pytest.mark.parametrize("sea", [FORGETFUL], indirect=True)
def test_where_the_log_of_a_killed_run_is_gone_nothing_is_guessed(sea) -> None:
    one = sea.bench()
    one.write("create role made")
    for _ in range(4):
        sea.admin.execute("select pg_switch_wal()")
        sea.admin.execute("checkpoint")
    one.store.close()
    sea.open().close()
    assert "made" in {row[0] for row in sea.state()}
    assert sea.admin.execute("select count(*) from seatrial_copies").fetchone() == (0,)
