"""Templates last from run to run: in nobody's way, not for ever, and never taken from whoever uses one."""

from __future__ import annotations

import dataclasses
import os
import threading
from dataclasses import replace

import psycopg
import pytest

from seatrial.errors import TemplateError
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.postgres.naming import Marker, reference_name, template_name
from seatrial.resources.kinds.postgres.templates.upkeep import LAST_USE, MOST
from seatrial.resources.protocol import Endpoint, Target


@pytest.fixture
def name() -> str:
    return f"kept_{os.getpid()}_{os.urandom(4).hex()}"


@pytest.fixture
def admin(endpoint: Endpoint):
    with psycopg.connect(endpoint.admin.url(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def role(admin, name: str):
    """The name of a role. It is dropped afterwards, if a test has left it."""
    yield f"role_{name}"
    for sort in ("_dev", ""):
        admin.execute(f"drop database if exists {name}{sort} with (force)")
    for (found,) in admin.execute("select datname from pg_database where datname ~ '^seatrial_[tr]_'").fetchall():
        admin.execute(f"drop database {found} with (force)")
    admin.execute(f"drop role if exists role_{name}")


@pytest.fixture
def opened(endpoint, spec, role: str):
    """Open stores, each as a run of its own; closed before roles are dropped."""
    stores = []

    def open_store(of: Endpoint = endpoint, **options):
        stores.append(Postgres().open(of, spec, **options))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


def names(admin, query: str = "select datname from pg_database") -> set[str]:
    return {found for (found,) in admin.execute(query)}


def making(role: str, more: str = "select 1"):
    return lambda target: target.execute(f"create role {role}; create table t (); grant all on t to {role}; {more}")


def marker(admin, key: str) -> Marker:
    query = "select shobj_description(oid, 'pg_database') from pg_database where datname = %s"
    (comment,) = admin.execute(query, (template_name(key),)).fetchone()
    return Marker.read(comment)


def test_a_role_that_the_schema_creates_does_not_stop_a_later_schema(opened, admin, role: str, name: str) -> None:
    first = opened()
    first.build("one" + name, name, making(role))
    copy = first.checkout("one" + name, name)
    copy.renew()
    first._reference("one" + name)
    first.drop(name)
    first.close()
    second = opened()
    assert second.build("two" + name, name, making(role, f"alter role {role} createdb"))
    assert names(admin).isdisjoint({template_name("one" + name), reference_name("one" + name)})
    with second.checkout("two" + name, name).connect() as app:
        rights = "select rolcreatedb, has_table_privilege(rolname, 't', 'insert') from pg_roles where rolname = %s"
        assert app.execute(rights, (role,)).fetchone() == (True, True)
    second.drop(name)


def test_the_role_of_a_template_that_was_removed_does_not_stop_a_later_schema(
    opened, admin, role: str, name: str
) -> None:
    """Others may use it meanwhile; the newest template has it from then on."""
    first = opened()
    first.build("one" + name, name, making(role))
    first.build("two" + name, name, making_table)
    assert first.forget("one" + name)
    first.close()
    assert role in names(admin, "select rolname from pg_roles")
    second = opened()
    assert second.build("three" + name, name, making(role))
    second.drop(name)


def test_while_another_run_uses_such_a_template_both_it_and_its_role_stay(opened, admin, role: str, name: str) -> None:
    first, second = opened(), opened()
    first.build("one" + name, f"{name}_dev", making(role))
    copy = first.checkout("one" + name, f"{name}_dev")
    with pytest.raises(TemplateError, match="another run still uses it") as caught:
        second.build("two" + name, name, making(role))
    assert role in caught.value.what
    assert template_name("one" + name) in names(admin)
    assert role in names(admin, "select rolname from pg_roles")
    copy.renew()
    first.drop(f"{name}_dev")


def test_a_database_that_was_kept_and_uses_such_a_role_is_named_and_stays(opened, admin, role: str, name: str) -> None:
    first = opened()
    first.build("one" + name, name, making(role))
    first.checkout("one" + name, name)
    first.keep(name, f"{name}_dev")
    first.close()
    with pytest.raises(TemplateError, match=f"{name}_dev still uses it"):
        opened().build("two" + name, name, making(role))
    assert f"{name}_dev" in names(admin)


def test_a_role_that_is_nobody_s_of_ours_is_never_dropped(opened, admin, role: str, name: str) -> None:
    admin.execute(f"create role {role}")
    store = opened()
    with pytest.raises(psycopg.errors.DuplicateObject):
        store.build(name, name, making(role))
    assert role in names(admin, "select rolname from pg_roles")


def test_on_a_server_that_is_not_ours_no_role_is_dropped(opened, endpoint, admin, role: str, name: str) -> None:
    theirs = dataclasses.replace(endpoint, owned=False)
    first = opened(theirs)
    first.build("one" + name, name, making(role))
    first.close()
    with pytest.raises(psycopg.errors.DuplicateObject):
        opened(theirs).build("two" + name, name, making(role))
    assert template_name("one" + name) in names(admin)
    assert role in names(admin, "select rolname from pg_roles")


def test_a_fill_that_fails_leaves_none_of_its_roles(opened, admin, role: str, name: str) -> None:
    def fail(target: Target) -> None:
        making(role)(target)
        raise TemplateError("the seed failed")

    store = opened()
    with pytest.raises(TemplateError, match="the seed failed"):
        store.build(name, name, fail)
    assert role not in names(admin, "select rolname from pg_roles")


def test_a_role_that_somebody_else_makes_at_the_same_time_is_not_the_template_s(
    opened, admin, role: str, name: str
) -> None:
    store = opened()
    if store.abilities.log:
        pytest.skip("an older server can't tell whose transaction it was: a documented limit")

    def fill(target: Target) -> None:
        making(role)(target)
        admin.execute(f"create role other_{name}")

    store.build(name, name, fill)
    made = admin.execute("select rolname from pg_roles where oid = any(%s)", ([*marker(admin, name).roles],))
    assert made.fetchall() == [(role,)]
    admin.execute(f"drop role other_{name}")


def test_the_role_that_the_app_connects_as_may_later_come_from_the_schema(opened, role: str, name: str) -> None:
    first = opened(role=role)
    first.build("one" + name, name, lambda target: target.execute("create table t ()"))
    first.close()
    second = opened(role=role)
    assert second.build("two" + name, name, making(role))
    with second.checkout("two" + name, name).connect() as app:
        assert app.execute("select current_user").fetchone() == (role,)
    second.drop(name)


def test_at_most_twelve_templates_stay_and_none_that_is_in_use_goes(opened, admin, name: str) -> None:
    using = opened()
    using.build(f"first{name}", name, making_table)
    for number in range(MOST + 1):
        store = opened()
        store.build(f"{number}{name}", f"{name}_{number}", making_table)
        admin.execute(  # one second is as good as another to the server's clock
            f"comment on database {template_name(f'{number}{name}')} is "
            f"'{dataclasses.replace(marker(admin, f'{number}{name}'), since=2_000_000_000 + number).text()}'"
        )
        store.close()
    store = opened()
    store.build(f"last{name}", name + "_last", making_table)
    left = names(admin)
    assert template_name(f"first{name}") in left
    assert template_name(f"0{name}") not in left
    assert template_name(f"{MOST}{name}") in left
    assert sum(one.startswith("seatrial_t_") for one in left) <= MOST + 2  # and the two that are in use
    for number in range(MOST + 1):
        admin.execute(f"drop database if exists {template_name(f'{number}{name}')}")


def making_table(target: Target) -> None:
    target.execute("create table t (id int); insert into t values (1)")


def test_a_template_can_be_forgotten_when_its_last_user_leaves_at_this_moment(opened, admin, name: str) -> None:
    """Nobody can say when a server notices that a connection was closed."""
    store, other = opened(), opened()
    store.build(name, name, making_table)
    assert other.find(name)
    assert not store.forget(name)
    leaving = threading.Timer(0.3, other.close)
    leaving.start()
    assert store.forget(name)
    leaving.join()
    assert template_name(name) not in names(admin)


def test_a_template_that_nobody_used_for_two_weeks_goes_with_its_reference(opened, admin, name: str) -> None:
    first = opened()
    first.build(name, name, making_table)
    first._reference(name)
    old = dataclasses.replace(marker(admin, name), since=marker(admin, name).since - LAST_USE - 1)
    admin.execute(f"comment on database {template_name(name)} is '{old.text()}'")
    opened()
    assert template_name(name) in names(admin)  # in use
    first.close()
    opened()
    assert names(admin).isdisjoint({template_name(name), reference_name(name)})


def test_the_use_of_a_template_is_noted(opened, admin, name: str) -> None:
    first = opened()
    first.build(name, name, making_table)
    made = marker(admin, name)
    admin.execute(f"comment on database {template_name(name)} is '{dataclasses.replace(made, since=1).text()}'")
    assert first.find(name)
    assert marker(admin, name).since >= made.since


def test_a_database_that_is_kept_for_ever_is_not_pushed_out_by_ten_others(opened, admin, name: str) -> None:
    store = opened()
    store.build(name, name, making_table)
    kept = [f"{name}_{number}" for number in range(12)]
    for number, one in enumerate(kept):
        store.checkout(name, name)
        store.keep(name, one, forever=not number)
    left = names(admin)
    assert kept[0] in left
    # Which of them is the oldest can't be told of those of one second: a copy may have been made ahead.
    assert [one in left for one in kept[1:]].count(False) == 1
    opened()
    assert kept[0] in names(admin)
    for one in kept:
        store.drop(one)


def test_who_notes_that_a_template_is_used_waits_for_another_that_clones_it_and_ends_nobody(opened, admin, name):
    store = opened()
    store.build(name, name, lambda target: target.execute("create table t ()"))
    template, marker = template_name(name), Marker(what="template", key=name)
    copy = store.checkout(name, name).address
    with psycopg.connect(copy.url()) as cloning, psycopg.connect(replace(copy, database=template).url()) as reading:
        cloning.execute(marker.written_on(template))
        noting = threading.Thread(target=store._databases.mark, args=(template, marker))
        noting.start()
        noting.join(0.5)
        assert noting.is_alive()
        assert reading.execute("select 1").fetchone() == (1,)
        cloning.rollback()
        noting.join()
    store.drop(name)
