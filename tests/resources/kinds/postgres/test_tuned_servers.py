"""Servers that somebody else has tuned, and roles with some rights: a test is undone on them as on ours."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess

import psycopg
import pytest

from seatrial.core import wait
from seatrial.errors import IsolationError, NeedsClone, ProviderError
from seatrial.isolation import restore
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.postgres.program import PostgresProgram
from seatrial.resources.protocol import Endpoint

from .conftest import FORGETFUL

WRITTEN_BY_ITSELF = (
    "array_nulls=off", "backslash_quote=on", "bytea_output=escape", "datestyle=German", "extra_float_digits=-10",
    "intervalstyle=sql_standard", "quote_all_identifiers=on", "standard_conforming_strings=off",
    "timezone=Asia/Kolkata", "transform_null_equals=on", "track_commit_timestamp=on", "wal_log_hints=on",
    "synchronous_commit=off", "default_transaction_isolation=serializable", "full_page_writes=off",
)  # fmt: skip
VALUES = """
create table t (id int primary key, f float8, r real, i interval, b bytea, names text[], numbers int[], m money,
  at timestamptz, day date, j jsonb, p point, of_table regclass);
insert into t values
 (1, 0.1::float8 + 0.2, 1.1::real / 3, interval '-3 days 04:05:06.789', decode('00ff27', 'hex'), array['a', null, 'NULL', ''],
  array[1, null], 1234.56, timestamptz '20240331T023000+0530', date '20240304', '{"a": 1.10}', '(0.1,0.3)', 't'),
 (2, 'nan', 'infinity', interval '1 year -00:00:01', '', '{}', '{}', -0.01, '-infinity', 'infinity', 'null', '(1e300,-1e-300)', null);
"""
BYTES = """
select string_agg(concat_ws(' ', id, float8send(f), float4send(r), interval_send(i), b, array_send(names),
  array_send(numbers), cash_send(m), timestamptz_send(at), date_send(day), j, point_send(p), of_table::oid), ' | ' order by id)
from t
"""


def bytes_of(one) -> str:
    with one.connect() as app:
        app.execute("set bytea_output = hex")
        return app.execute(BYTES).fetchone()[0]


def test_a_server_that_writes_values_in_a_way_of_its_own_has_each_seed_row_back_to_the_bit(
    spec, another_server, bench_on
) -> None:
    with another_server(*WRITTEN_BY_ITSELF) as endpoint, contextlib.closing(Postgres().open(endpoint, spec)) as store:
        one = bench_on(store, VALUES)
        before = bytes_of(one)
        for statement in ("update t set id = id + 10", "delete from t", "truncate t", "cluster t using t_pkey"):
            one.write(statement)
            assert one.undo().path == "log", statement
            assert bytes_of(one) == before, statement
        store.drop(one.name)


def test_a_server_that_logs_as_little_as_it_can_tells_enough(spec, another_server, bench_on) -> None:
    """What goes to a file of the same transaction is not in its log, nor in which database a transaction ran."""
    little = ("wal_level=minimal", "max_wal_senders=0", "wal_skip_threshold=0")
    schema = (
        "create table t (id serial primary key, v text); insert into t (v) select 'seed' from generate_series(1, 500)"
    )
    with another_server(*little) as endpoint, contextlib.closing(Postgres().open(endpoint, spec)) as store:
        one = bench_on(store, schema + "; create materialized view m as select count(*) from t")
        one.undo()
        for statement in (
            "truncate t restart identity; insert into t (v) select 'x' from generate_series(1, 100)",
            "truncate t; insert into t (v) values ('x'); truncate t; insert into t (v) values ('y')",
            "delete from t where id > 400; refresh materialized view m",
            "cluster t using t_pkey; update t set v = 'x' where id < 10",
            "create table passing as select * from t; drop table passing; insert into t (v) values ('x')",
        ):
            one.write(statement)
            assert one.undo().path == "log", statement
        one.write(f"alter database \"{one.name}\" set work_mem = '1MB'")
        assert "settings" in one.needs_clone().what
        store.drop(one.name)


def test_a_role_that_may_read_the_log_and_is_no_superuser_has_its_databases_settings_back(reads, bench_on) -> None:
    one = bench_on(reads, "create table t (id int)")
    for statement in ("alter database {} set work_mem = '1MB'", "grant create on database {} to public"):
        one.write("insert into t values (1)", statement.format(one.name))
        assert "settings" in one.needs_clone().what
        one.write("insert into t values (1)")
        assert one.undo().path == "log"
    reads.drop(one.name)


def test_where_the_log_is_gone_that_tells_who_changed_a_role_the_test_is_told(spec, another_server, bench_on) -> None:
    with (
        another_server(*FORGETFUL) as endpoint,
        contextlib.closing(Postgres().open(endpoint, spec)) as store,
        psycopg.connect(endpoint.admin.url(), autocommit=True) as admin,
    ):
        one = bench_on(store, "create table t (id int)")
        one.undo()
        one.write("create role of_the_test", "alter table t add column more int")
        with pytest.raises(Exception, match="the schema was changed"):
            one.copy.undo()
        for _ in range(4):
            admin.execute("select pg_switch_wal()")
            admin.execute("checkpoint")
        with pytest.raises(IsolationError, match=r"roles or their settings .*\(pg_authid\), and not put back"):
            one.copy.renew()
        one.write("insert into t values (1)")
        assert one.undo().path == "log"
        store.drop(one.name)


def test_the_role_of_a_schema_is_known_where_the_log_of_its_making_is_gone(spec, another_server) -> None:
    """So it stands in the way of no later schema."""
    with (
        another_server(*FORGETFUL) as endpoint,
        psycopg.connect(endpoint.admin.url(), autocommit=True) as admin,
    ):

        def fill(target) -> None:
            target.execute("create table t (id int); create role of_the_schema; grant select on t to of_the_schema")
            for _ in range(4):
                admin.execute("select pg_switch_wal()")
                admin.execute("checkpoint")

        for key in ("one", "two"):
            with contextlib.closing(Postgres().open(dataclasses.replace(endpoint, owned=True), spec)) as store:
                assert store.build(key, "copy", fill)
                store.drop("copy")


def test_where_only_the_begin_of_that_log_is_gone_the_test_is_told_as_well(spec, another_server, bench_on) -> None:
    """Its rest was there to be read, and says of a role that it was written to."""
    with (
        another_server("wal_keep_size=0") as endpoint,
        contextlib.closing(Postgres().open(endpoint, spec)) as store,
        psycopg.connect(endpoint.admin.url(), autocommit=True) as admin,
    ):
        one = bench_on(store, "create table t (id int)")
        one.undo()
        one.write("create role of_the_test", "insert into t values (1)")
        assert one.copy.late_writes()
        admin.execute("select pg_switch_wal()")  # no checkpoint follows by itself: the log is far from its bound
        one.write("insert into t values (2)")
        assert one.copy.late_writes()
        admin.execute("checkpoint")
        with pytest.raises(NeedsClone, match="thrown away the part of its log"):
            one.copy.undo()
        with pytest.raises(IsolationError, match=r"roles or their settings .*\(pg_authid\), and not put back"):
            one.copy.renew()
        store.drop(one.name)


def test_a_role_of_a_layer_is_dropped_with_it_where_the_log_of_before_is_gone(spec, another_server, bench_on) -> None:
    with (
        another_server(*FORGETFUL) as endpoint,
        contextlib.closing(Postgres().open(endpoint, spec)) as store,
        psycopg.connect(endpoint.admin.url(), autocommit=True) as admin,
    ):
        one = bench_on(store, "create table t (id int)")
        admin.execute("create role there createdb")
        roles = "select array_agg(rolname || rolcreatedb order by 1) from pg_roles"
        before = admin.execute(roles).fetchone()
        restore.ready(one.copy)
        one.write("create role of_the_layer", "alter role there nocreatedb", "create database of_the_layer")
        one.copy.push()
        for _ in range(4):
            one.write("insert into t values (1)", "alter role of_the_layer createdb", "drop role there")
            one.undo()
            admin.execute("select pg_switch_wal()")
            admin.execute("checkpoint")
            restore.ready(one.copy)
        one.write("create role of_the_tear_down")
        one.copy.pop()
        assert admin.execute(roles).fetchone() == before
        assert not admin.execute("select from pg_database where datname = 'of_the_layer'").fetchone()
        store.drop(one.name)


LIMITS = ("statement_timeout", "lock_timeout", "transaction_timeout")


@pytest.mark.parametrize("whose", ["database", "role"])
def test_limits_of_a_database_or_a_role_are_for_the_app_and_not_for_our_own_connections(
    spec, another_server, whose: str
) -> None:
    with another_server() as endpoint:
        known = [one for one in LIMITS if one != "transaction_timeout" or int(endpoint.version.split(".")[0]) >= 17]
        unlimited = " ".join(f"-c {one}=0" for one in known)
        target = f"role {endpoint.admin.user}" if whose == "role" else "database {name}"

        def write(address, *statements: str) -> None:
            with psycopg.connect(address.url(), options=unlimited, autocommit=True) as app:
                for one in statements:
                    app.execute(one)

        def fill(of) -> None:
            write(of.address, "create table t (id int primary key)", "insert into t select generate_series(1, 50000)")
            limited = target.format(name=of.address.database)
            write(of.address, *(f"alter {limited} set {one} = '1ms'" for one in known))

        with contextlib.closing(Postgres().open(endpoint, spec)) as store:
            store.build("limited", "limited", fill)
            copy = store.checkout("limited", "limited")
            audit = Postgres().auditor(endpoint, copy.address, alone=False)
            write(copy.address, "insert into t select generate_series(50001, 60000)")
            copy.push()
            baseline = audit.baseline()
            write(copy.address, "delete from t where id > 59000")
            assert restore.undo(copy).rows == 1000
            write(copy.address, "create table more (id int)")
            assert restore.undo(copy).path == "clone"
            assert not audit.differences(baseline)
            copy.pop()
            store.drop("limited")


@pytest.fixture
def pooler(embedded, tmp_path):
    """Starts PgBouncer in front of a server, as one has it for transactions; gives its port."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not here (Debian: pgbouncer)")
    ended = contextlib.ExitStack()

    def start(more: str = "") -> int:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        admin = embedded.admin
        settings = tmp_path / f"{port}.ini"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={admin.port} user={admin.user} password={admin.password}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = transaction\n{more}\n"
        )
        # It refuses to run as root.
        unprivileged = ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.geteuid() == 0 else []
        process = subprocess.Popen([*unprivileged, program, "-q", str(settings)], stderr=subprocess.DEVNULL)
        ended.callback(process.wait)
        ended.callback(process.kill)
        assert wait.until(lambda: PostgresProgram().answers(at(embedded, port)), timeout=60)
        return port

    yield start
    ended.close()


def at(endpoint: Endpoint, port: int) -> Endpoint:
    return dataclasses.replace(
        endpoint, owned=False, socket_folder=None, admin=dataclasses.replace(endpoint.admin, port=port)
    )


@pytest.mark.parametrize(
    "more", ["", "ignore_startup_parameters = options"], ids=["as-it-comes", "that-ignores-options"]
)
def test_a_pooler_in_the_place_of_the_server_is_refused_and_named(embedded, pooler, more) -> None:
    with pytest.raises(ProviderError) as caught:
        PostgresProgram().asked_version(at(embedded, pooler(more)))
    assert "a connection pooler, such as PgBouncer, answers" in caught.value.what
    assert PostgresProgram().asked_version(at(embedded, embedded.admin.port)) == embedded.version
