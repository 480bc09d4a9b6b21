"""Templates and copies: built once, whole or not at all, and never in the place of what is not ours."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading

import psycopg
import pytest

from seatrial.core import wait
from seatrial.errors import IsolationError, Refused, ServerLost, TemplateError
from seatrial.isolation import template
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.postgres.naming import Marker, template_name
from seatrial.resources.protocol import (
    Copy,
    Requirements,
    SupportsClone,
    SupportsKeep,
    SupportsReset,
    SupportsRollback,
    Target,
)


@pytest.fixture
def name() -> str:
    return f"made_{os.getpid()}_{os.urandom(4).hex()}"


@pytest.fixture
def admin(endpoint):
    """A plain connection to the server's maintenance database."""
    with psycopg.connect(endpoint.admin.url(), autocommit=True) as connection:
        yield connection


def databases(admin) -> set[str]:
    return {name for (name,) in admin.execute("select datname from pg_database")}


def fill(target: Target) -> None:
    target.execute("create table t (id int); insert into t values (1)")


def test_a_copy_can_all_that_a_harness_may_ask_for(bench) -> None:
    one = bench("select 1")
    for joint in (SupportsReset, SupportsClone, SupportsRollback):
        assert isinstance(one.copy, joint)
    assert isinstance(one.store, SupportsKeep)
    copy: Copy = one.copy
    assert copy.address.database == one.name


def test_a_template_is_built_once_and_found_by_a_later_run(endpoint, spec, name: str) -> None:
    first = Postgres().open(endpoint, spec)
    assert not first.find(name)
    assert first.build(name, name, fill)
    assert not first.build(name, name, fill)
    first.close()
    later = Postgres().open(endpoint, spec)
    assert later.find(name)
    copy = later.checkout(name, name)
    with copy.connect() as app:
        assert app.execute("select id from t").fetchall() == [(1,)]
    later.drop(name)
    later.close()


def test_the_template_is_filled_at_the_address_that_the_app_will_see(store, endpoint, spec, name: str) -> None:
    seen = []
    store.build(name, name, lambda target: seen.append(target.address))
    copy = store.checkout(name, name)
    assert seen == [copy.address]
    assert copy.address == Postgres().copy_address(endpoint, spec, name)
    store.drop(name)


def test_a_migration_that_fails_leaves_nothing(store, admin, name: str) -> None:
    before = databases(admin)

    def fail(target: Target) -> None:
        fill(target)
        raise TemplateError("the migration failed")

    with pytest.raises(TemplateError, match="the migration failed"):
        store.build(name, name, fail)
    assert databases(admin) == before
    assert not store.find(name)
    assert store.build(name, name, fill)


def test_two_processes_never_build_the_same_template(endpoint, spec, name: str) -> None:
    stores = [Postgres().open(endpoint, spec) for _ in range(2)]
    built: list[bool] = []
    filled: list[str] = []

    def build(number: int) -> None:
        built.append(stores[number].build(name, f"{name}_{number}", lambda target: (fill(target), filled.append("x"))))

    threads = [threading.Thread(target=build, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(built) == [False, True]
    assert filled == ["x"]
    for store in stores:
        store.close()


def test_connections_that_a_migration_left_open_do_not_stop_the_template(store, name: str) -> None:
    left = []

    def fill_and_leave(target: Target) -> None:
        fill(target)
        left.append(psycopg.connect(target.address.url()))

    assert store.build(name, name, fill_and_leave)
    left[0].close()


def test_a_database_that_does_not_bear_our_marker_is_refused_and_stays(store, admin, name: str) -> None:
    admin.execute(f"create database {name}")
    store.build(f"{name} other", f"{name}_other", fill)
    with pytest.raises(Refused, match="not ours"):
        store.build(name, name, fill)
    with pytest.raises(Refused, match="not ours"):
        store.checkout(f"{name} other", name)
    with pytest.raises(Refused, match="not ours"):
        store.drop(name)
    assert name in databases(admin)
    admin.execute(f"drop database {name}")


def test_a_template_that_was_not_completed_is_not_used(store, admin, name: str) -> None:
    admin.execute(f"create database {template_name(name)}")
    admin.execute(f"comment on database {template_name(name)} is '{Marker(what='building', key=name).text()}'")
    assert not store.find(name)
    assert store.build(name, name, fill)
    assert store.find(name)


def test_copies_of_a_run_that_crashed_are_swept_and_those_of_one_that_runs_are_not(
    endpoint, spec, admin, name: str
) -> None:
    crashed, running = Postgres().open(endpoint, spec), Postgres().open(endpoint, spec)
    crashed.build(name, f"{name}_a", fill)
    crashed.checkout(name, f"{name}_a")
    running.checkout(name, f"{name}_b")
    crashed.close()
    third = Postgres().open(endpoint, spec)
    assert f"{name}_a" not in databases(admin)
    assert f"{name}_b" in databases(admin)
    running.drop(f"{name}_b")
    running.close()
    third.close()


def test_a_database_whose_drop_was_interrupted_by_a_crash_is_dropped_and_made_anew(
    store, endpoint, spec, admin, name: str
) -> None:
    store.build(name, name, fill)
    store.checkout(name, name)
    store.checkout(name, name)  # from here on clones are prepared
    broken = "update pg_database set datconnlimit = -2 where datname = any(%s)"
    admin.execute(broken, [[name, template_name(name)]])
    assert not store.find(name)
    store.build(name, f"{name}_at", fill)
    with store.checkout(name, name).connect() as app:
        assert app.execute("select id from t").fetchall() == [(1,)]
    admin.execute(broken, [[name]])
    store.drop(name)
    assert name not in databases(admin)


def test_a_name_that_another_run_uses_is_not_taken_from_it(endpoint, spec, name: str) -> None:
    first, second = Postgres().open(endpoint, spec), Postgres().open(endpoint, spec)
    first.build(name, name, fill)
    first.checkout(name, name)
    with pytest.raises(IsolationError, match="another run"):
        second.checkout(name, name)
    first.drop(name)
    first.close()
    second.close()


def test_a_copy_is_kept_under_another_name_and_outlives_the_run(endpoint, spec, store, name: str) -> None:
    store.build(name, name, fill)
    copy = store.checkout(name, name)
    with copy.connect() as app:
        app.execute("insert into t values (2)")
    kept = store.keep(name, f"{name}_kept")
    store.checkout(name, name)
    Postgres().open(endpoint, spec).close()
    with psycopg.connect(kept.url()) as look:
        assert look.execute("select count(*) from t").fetchone() == (2,)
    store.drop(name)
    store.drop(f"{name}_kept")


def test_the_app_connects_as_a_role_of_its_own_where_one_is_named(endpoint, spec, name: str) -> None:
    role = f"role_{name}"
    store = Postgres().open(endpoint, spec, role)
    store.build(
        name,
        name,
        lambda target: target.execute(
            "create table t (id int); insert into t values (1), (2); alter table t enable row level security; create policy p on t using (id = 1); "
            "grant usage on schema public to public; grant all on t to public"
        ),
    )
    copy = store.checkout(name, name)
    assert copy.address == Postgres().copy_address(endpoint, spec, name, role)
    with copy.connect() as app:
        assert app.execute("select current_user, rolsuper from pg_roles where rolname = current_user").fetchone() == (
            role,
            False,
        )
        assert app.execute("select id from t").fetchall() == [(1,)]
        app.execute("delete from t")
    assert copy.undo().rows == 1
    store.drop(name)
    store.close()


def test_role_password_and_database_of_a_fixed_address_are_served(endpoint, tmp_path, name: str) -> None:
    admin = endpoint.admin
    at = f"postgresql+asyncpg://user_{name}:p%40ss@{admin.host}:{admin.port}/db_{name}"
    spec = Postgres().spec(Requirements.of(project=tmp_path, at=at))
    address = Postgres().copy_address(endpoint, spec, "whatever")
    assert address.url() == at.replace("+asyncpg", "")
    store = Postgres().open(endpoint, spec)
    store.build(name, address.database, fill)
    store.checkout(name, address.database)
    with psycopg.connect(address.url()) as app:
        assert app.execute("select id from t").fetchone() == (1,)
    store.drop(address.database)
    store.close()


def test_on_a_server_that_is_not_ours_the_right_to_create_databases_is_enough(endpoint, spec, admin, name: str) -> None:
    role = f"poor_{name}"
    admin.execute(f"create role {role} login createdb password 'x'")
    theirs = dataclasses.replace(
        endpoint, owned=False, admin=dataclasses.replace(endpoint.admin, user=role, password="x")
    )
    store = Postgres().open(theirs, spec)
    assert store.abilities.log
    assert store.abilities.replica
    store.build(
        name,
        name,
        lambda target: target.execute(
            "create table a (id serial primary key); create table b (id int references a); insert into a values (100)"
        ),
    )
    copy = store.checkout(name, name)
    for statement in (
        "insert into a values (1); insert into b values (1)",
        "delete from a",
        "update a set id = 7; insert into b values (7)",
    ):
        with copy.connect() as app:
            app.execute(statement)
        undone = copy.undo()
        assert undone.path == "scan"
        with copy.connect() as app:
            assert app.execute("select array(select id from a), array(select id from b)").fetchone() == ([100], [])
    store.drop(name)
    store.close()


MACHINE = """
import sys
from pathlib import Path
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.url import Url
url, key, name = sys.stdin.readline().split()
spec = Postgres().spec(Requirements.of(project=Path("/"), url=url))
server = Url().reserve(spec)
server.start()
store = Postgres().open(server.endpoint, spec)
built = store.build(key, name, lambda target: target.execute("create table t (id int)"))
store.checkout(key, name)
print(built, flush=True)
sys.stdin.read()
"""


def test_machines_share_templates_on_a_server_elsewhere_and_what_a_lost_one_leaves_is_collected(
    endpoint, spec, admin, name: str, tmp_path
) -> None:
    """Each is a process with a cache of its own: what they know of each other is in the server."""
    role = f"poor_{name}"
    admin.execute(f"create role {role} login createdb password 'x'")
    url = dataclasses.replace(endpoint.admin, user=role, password="x").url()
    machines = []
    for number in range(2):
        machine = subprocess.Popen(
            [sys.executable, "-c", MACHINE],
            env={**os.environ, "SEATRIAL_CACHE": str(tmp_path / str(number))},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        machine.stdin.write(f"{url} {name} {name}_{number}\n")
        machine.stdin.flush()
        machines.append(machine)
    try:
        assert sorted(machine.stdout.readline().strip() for machine in machines) == ["False", "True"]
        assert {f"{name}_0", f"{name}_1"} <= set(databases(admin))
        machines[0].kill()
        machines[0].wait()
        theirs = dataclasses.replace(
            endpoint, owned=False, admin=dataclasses.replace(endpoint.admin, user=role, password="x")
        )

        def collected() -> bool:
            Postgres().open(theirs, spec).close()
            return f"{name}_0" not in databases(admin)

        assert wait.until(collected, timeout=30)  # once the server has seen that its connection is gone
        assert f"{name}_1" in databases(admin)
    finally:
        for machine in machines:
            machine.kill()
            machine.communicate()
    assert wait.until(lambda: Postgres().open(theirs, spec).close() or f"{name}_1" not in databases(admin), timeout=30)


def test_without_the_right_to_create_databases_we_refuse(endpoint, spec, admin, name: str) -> None:
    admin.execute(f"create role none_{name} login password 'x'")
    theirs = dataclasses.replace(
        endpoint, owned=False, admin=dataclasses.replace(endpoint.admin, user=f"none_{name}", password="x")
    )
    with pytest.raises(Refused, match="may not create databases") as caught:
        Postgres().open(theirs, spec)
    assert "CREATEDB" in caught.value.fix


def test_an_extension_that_the_server_lacks_is_an_error_of_the_template(endpoint, tmp_path, name: str) -> None:
    store = Postgres().open(endpoint, Postgres().spec(Requirements.of(project=tmp_path, extensions=("no_such_thing",))))
    with pytest.raises(TemplateError, match="no_such_thing"):
        store.build(name, name, fill)
    store.close()


def test_a_template_of_a_server_that_is_not_ours_is_of_one_role_and_its_extensions(
    endpoint, tmp_path, admin, name
) -> None:
    """Both may change from one run to the next, and a server that runs on has the templates of all of them."""
    admin.execute(f"create role other_{name} login superuser password 'x'")
    plain = dataclasses.replace(endpoint, owned=False)
    other = dataclasses.replace(plain, admin=dataclasses.replace(endpoint.admin, user=f"other_{name}", password="x"))
    keys = []
    for theirs, extensions in ((plain, ()), (plain, ("plpgsql",)), (other, ())):
        store = Postgres().open(theirs, Postgres().spec(Requirements.of(project=tmp_path, extensions=extensions)))
        keys.append(template.key([], store, "db"))
        store.close()
    assert len(set(keys)) == len(keys)


def test_a_server_that_is_gone_is_told_as_lost(spec, another_server) -> None:
    with another_server() as endpoint:
        store = Postgres().open(endpoint, spec)
        store.build("key", "gone", fill)
        copy = store.checkout("key", "gone")
    with pytest.raises(ServerLost):
        copy.undo()
    store.close()
