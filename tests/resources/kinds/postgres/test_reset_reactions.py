"""Nothing that a schema does by itself (keys, triggers, rules, computed values) changes the baseline in an undo."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from seatrial.core import wait
from seatrial.errors import NeedsClone
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.postgres.store import PostgresStore

NUMBERS = itertools.count()

FAMILY = """
create table parent (id int primary key, v text);
create table child (id int primary key, parent int references parent on delete {action} on update {action});
insert into parent values (1, 'a'), (2, 'b'); insert into child values (1, 1), (2, 2);
"""
FIRES = """
do $$ declare one record; begin
for one in select tgname, tgrelid::regclass as name from pg_trigger where tgrelid in ('parent'::regclass, 'child'::regclass) loop
  execute format('alter table %s enable {fires} trigger %I', one.name, one.tgname); end loop; end $$
"""
NOTED = """
create table noted (id serial, v text);
create function note() returns trigger language plpgsql as $$ begin insert into noted (v) values (tg_op); return null; end $$;
create table whole (id int, v text) partition by range (id);
create table part partition of whole for values from (0) to (100);
insert into whole values (1, 'a'), (2, 'b');
create trigger notes after insert or update or delete on whole for each row execute function note();
"""
WORK = (
    "update parent set v = 'x' where id = 1",
    "insert into parent values (5, 'new')",
    "insert into parent values (5, 'new'); update child set parent = 5 where id = 1",
    "delete from child where id = 1; delete from parent where id = 1",
    "delete from child; delete from parent",
)


@pytest.fixture
def lesser(endpoint, spec, bench_on) -> Iterator[Callable[..., PostgresStore]]:
    """Opens a store as a role that may create databases, and nothing else unless it is told."""
    opened: list[PostgresStore] = []
    roles: list[str] = []

    def open_store(*rights: str) -> PostgresStore:
        role = f"lesser_{os.getpid()}_{next(NUMBERS)}"
        with psycopg.connect(endpoint.admin.url(), autocommit=True) as admin:
            admin.execute(f"create role {role} login createdb password 'x'")
            for one in rights:
                admin.execute(f"grant {one} to {role}")
        roles.append(role)
        us = dataclasses.replace(endpoint.admin, user=role, password="x")
        opened.append(Postgres().open(dataclasses.replace(endpoint, owned=False, admin=us), spec))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


@pytest.fixture
def poor(lesser, benches_on) -> Iterator[Callable[[str], object]]:
    """Give a schema with its seed data, get a copy of it, of a role that may silence nothing."""
    with benches_on(lesser()) as make:
        yield make


def back(one) -> str:
    """Back to the baseline, one way or the other: which one."""
    try:
        path = one.copy.undo().path
    except NeedsClone:
        one.copy.renew()
        path = "clone"
    assert one.content() == one.before
    return path


@pytest.mark.parametrize("fires", ["always", "replica"])
@pytest.mark.parametrize("action", ["cascade", "set null", "set default", "no action"])
def test_a_foreign_key_that_holds_even_for_a_replica_reaches_no_seed_row(bench, action: str, fires: str) -> None:
    one = bench(FAMILY.format(action=action) + FIRES.format(fires=fires))
    enabled = "select array_agg(tgenabled::text order by oid) from pg_trigger where tgrelid = 'parent'::regclass"
    for statement in WORK:
        one.write(statement)
        assert one.undo().path == one.path
    with one.connect() as app:
        assert set(app.execute(enabled).fetchone()[0]) == {fires[0].upper()}


def test_a_partition_s_own_trigger_does_not_see_the_undo_either(bench) -> None:
    one = bench(NOTED + "alter table part enable always trigger notes")
    for statement in ("update whole set v = 'x' where id = 1", "insert into whole values (3, 'x')"):
        one.write(statement)
        assert one.undo().path == one.path


def test_a_stored_generated_column_that_is_computed_otherwise_now_takes_a_clone(bench) -> None:
    one = bench(
        """create function f(i int) returns int immutable language sql as 'select i * 2';
        create table g (id int primary key, v int, w int generated always as (f(v)) stored, x text,
          y text generated always as (upper(x)) stored);
        insert into g (id, v, x) values (1, 10, 'a'), (2, 0, null), (3, 0, '"'), (4, null, '');
        create or replace function f(i int) returns int immutable language sql as 'select i * 3'"""
    )
    for statement in ("update g set v = 11 where id = 1", "truncate g"):
        one.write(statement)
        assert "generated column" in one.needs_clone().what
    for statement in (
        "delete from g where id > 1",
        "update g set x = 'other' where id in (2, 4)",
        "insert into g values (5)",
    ):
        one.write(statement)
        assert one.undo().path == one.path


@pytest.mark.parametrize("action", ["cascade", "set null", "set default", "no action"])
def test_without_the_right_to_silence_keys_no_seed_row_is_lost_and_no_row_is_left(poor, action: str) -> None:
    one = poor(FAMILY.format(action=action))
    for statement in WORK:
        one.write(statement)
        back(one)


def test_without_that_right_new_rows_of_a_table_that_seed_rows_refer_to_are_undone_in_place(poor) -> None:
    one = poor(FAMILY.format(action="no action"))
    for statement in ("insert into parent values (5, 'new')", WORK[2], "update child set parent = 2"):
        one.write(statement)
        assert one.undo().path == "scan"


def test_without_that_right_a_seed_row_that_referred_to_a_new_one_is_not_there_twice(poor) -> None:
    """ON DELETE SET NULL moves a row: whoever looks for it where it was does not find it."""
    one = poor(
        "create table parent (id int primary key); create table child (id int, parent int references parent on delete set null);"
        "insert into child values (1, null), (2, null)"
    )
    for statement in (
        "insert into parent values (3); update child set parent = 3 where id = 1",
        "insert into parent values (3); insert into child values (3, 3)",
    ):
        one.write(statement)
        back(one)


@pytest.mark.parametrize("action", ["cascade", "set null"])
def test_without_that_right_partitions_on_both_sides_of_a_key_lose_no_seed_row(poor, action: str) -> None:
    one = poor(
        f"""create table p (id int primary key) partition by range (id);
        create table p1 partition of p for values from (0) to (100);
        create table q (n int default 1, id int references p on delete {action}) partition by range (n);
        create table q1 partition of q for values from (0) to (100);
        insert into p values (1), (2); insert into q values (1, 1)"""
    )
    for statement in ("update p set id = 1 where id = 1", "insert into p values (3); update q set id = 3"):
        one.write(statement)
        back(one)


def test_without_that_right_a_key_that_never_held_for_the_seed_loses_no_row(poor) -> None:
    one = poor(
        """create table parent (id int primary key); create table child (id int, parent int);
        insert into child values (1, 3);
        alter table child add foreign key (parent) references parent on delete cascade not valid"""
    )
    one.write("insert into parent values (3)")
    assert back(one) == "clone"


@pytest.mark.parametrize(
    "rule",
    [
        "on delete to t do instead nothing",
        "on insert to t do instead nothing",
        "on delete to t do also insert into noted values (1)",
    ],
)
def test_without_that_right_rules_neither_keep_rows_nor_make_some(poor, rule: str) -> None:
    one = poor(
        f"create table noted (v int); create table t (id int, v text); insert into t values (1, 'a'); create rule r as {rule};"
        f"create table e (id int); create rule r as {rule.replace('to t', 'to e')}"
    )
    for statement in ("insert into t values (2, 'b')", "update t set v = 'x'", "insert into e values (1)"):
        one.write(statement)
        back(one)


def test_without_that_right_a_partition_s_trigger_makes_no_row(poor) -> None:
    one = poor(NOTED)
    one.write("update whole set v = 'x' where id = 1")
    assert "triggers" in one.needs_clone().what


def test_a_key_that_only_a_superuser_could_silence_takes_a_clone(endpoint, lesser, bench_on) -> None:
    if endpoint.version.startswith("14"):
        pytest.skip("the right to play a replica can be granted since PostgreSQL 15")
    store = lesser("set on parameter session_replication_role")
    key = f"keys {os.getpid()} {next(NUMBERS)}"

    def fill(target) -> None:
        target.execute(FAMILY.format(action="cascade"))
        url = dataclasses.replace(endpoint.admin, database=target.address.database).url()
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(FIRES.format(fires="always"))
        with psycopg.connect(endpoint.admin.url(), autocommit=True) as admin:
            here = "select 1 from pg_stat_activity where datname = %s and usename = %s"
            assert wait.until(  # until the server knows that it is gone: our role could not end it
                lambda: not admin.execute(here, (target.address.database, endpoint.admin.user)).fetchone(), timeout=30
            )

    store.build(key, key, fill)
    copy = store.checkout(key, key)
    with contextlib.closing(copy.connect()) as app:
        app.autocommit = True
        app.execute("update parent set v = 'x' where id = 1")
        with pytest.raises(NeedsClone):
            copy.undo()
    copy.renew()
    with contextlib.closing(copy.connect()) as app:
        assert app.execute("select array(select v from parent), count(*) from child").fetchone() == (["a", "b"], 2)
    store.drop(key)


@pytest.mark.parametrize("statement", ["insert into base values (2)", "refresh materialized view seen; truncate told"])
def test_no_event_trigger_writes_down_what_the_undo_does(bench, statement: str) -> None:
    """Since PostgreSQL 17 it can be silenced; before, an undo that it would hear takes a clone."""
    one = bench(
        """create table base (id int primary key); insert into base values (1); create table told (tag text);
        create materialized view seen as select count(*) from base;
        create function tell() returns event_trigger language plpgsql as $$ begin insert into told values (tg_tag); end $$;
        create function nothing() returns trigger language plpgsql as $$ begin return null; end $$;
        create trigger fires after insert on base for each row execute function nothing();
        alter table base enable always trigger fires;
        create event trigger teller on ddl_command_end execute function tell();
        alter event trigger teller enable always; truncate told"""
    )
    one.write(statement)
    assert back(one) in (one.path, "nothing") or not one.store.abilities.near
    one.write("insert into told values ('x')")
    assert one.undo().path == one.path


HIDDEN = """
create table tenant (id int primary key, who text); create table other (id int); insert into tenant values (1, 'a'), (2, 'b');
alter table tenant enable row level security; alter table tenant force row level security;
create policy own on tenant using (who <> 'b') with check (true)
"""


def test_rows_that_our_role_may_not_see_are_brought_back_by_a_clone(poor) -> None:
    one = poor(HIDDEN)
    for statement in (
        "insert into tenant values (3, 'b')",
        "update tenant set who = 'x'",
        "insert into other values (1)",
    ):
        one.write(statement)
        assert "tenant" in one.needs_clone().what


def test_in_rollback_nobody_is_charged_with_a_commit_because_rows_can_not_be_seen(poor) -> None:
    one = poor(HIDDEN)
    one.copy.mark()
    assert one.copy.uncommitted_only()
    one.write("insert into other values (1)")
    assert not one.copy.uncommitted_only()
    one.needs_clone()


def test_with_the_log_only_a_test_that_wrote_to_such_rows_takes_a_clone(embedded, reads, bench_on) -> None:
    one = bench_on(reads, HIDDEN)
    one.write("insert into other values (1)")
    assert one.undo().path == "log"
    for statement in ("insert into tenant values (3, 'b')", "truncate tenant", "delete from tenant"):
        one.write(statement)
        assert "tenant" in one.needs_clone().what
    reads.drop(one.name)


def test_a_large_object_of_the_baseline_is_not_lost_to_a_role_that_may_not_read_their_catalog(reads, bench_on) -> None:
    one = bench_on(reads, "select lo_from_bytea(4711, 'abc'); create table t (id int)")
    one.write("insert into t values (1)")
    assert one.undo().path == "log"
    one.write("select lo_put(4711, 0, 'xyz')")
    assert "large objects" in one.needs_clone().what
    with one.connect() as app:
        assert app.execute("select lo_get(4711)").fetchone() == (b"abc",)
    reads.drop(one.name)


def test_large_objects_of_the_baseline_that_nobody_touched_take_no_clone(bench, poor) -> None:
    for make in (bench, poor):
        one = make("select lo_from_bytea(4711, 'abc'); create table t (id int)")
        one.write("insert into t values (1)")
        assert one.undo().rows == 1
        for statement in ("select lo_put(4711, 0, 'xyz')", "select lo_unlink(4711)", "select lo_from_bytea(0, 'new')"):
            one.write(statement)
            one.needs_clone()
            with one.connect() as app:
                assert app.execute("select lo_get(4711)").fetchone() == (b"abc",)


def test_a_table_without_replica_identity_that_is_published_is_undone_in_place(bench) -> None:
    one = bench(
        """create publication everything for all tables; create table seeded (id int, v text); create table fresh (id int);
        create table none (id int primary key); alter table none replica identity nothing;
        insert into seeded values (1, 'a'), (2, 'b'); insert into none values (1)"""
    )
    identity = "select array_agg(relreplident::text order by relname) from pg_class where relname in ('seeded', 'fresh', 'none')"
    for statement in ("insert into seeded values (3, 'c')", "insert into fresh values (1)", "truncate seeded, none"):
        one.write(statement)
        assert one.undo().path == one.path
    with one.connect() as app:
        assert app.execute(identity).fetchone() == (["d", "n", "d"],)


def test_rows_of_a_table_without_columns_of_its_own_are_given_back(bench) -> None:
    one = bench(
        """create table bare (); insert into bare default values; insert into bare default values;
        create table made (g int generated always as (7) stored); insert into made default values"""
    )
    for statement in ("delete from bare", "delete from made", "truncate bare", "insert into bare default values"):
        one.write(statement)
        assert one.undo().path == one.path


def test_a_temporary_child_of_a_table_is_no_change_of_the_schema(bench) -> None:
    one = bench("create table parent (id int); insert into parent values (1)")
    one.write("create temporary table child (more int) inherits (parent); insert into child values (2, 3)")
    assert one.undo().path == "nothing"


def test_a_copy_is_replaced_as_soon_as_a_superuser_whom_our_role_may_not_end_is_gone(endpoint, poor) -> None:
    """As an administrator who looks into it, or the server's own worker that cleans up."""
    one = poor("create table t (id int)")
    superuser = dataclasses.replace(endpoint.admin, database=one.copy.address.database)
    looking = psycopg.connect(superuser.url())
    over = threading.Timer(0.3, looking.close)
    over.start()
    one.write("insert into t values (1)")
    one.copy.renew()
    over.join()
    assert one.content() == one.before
