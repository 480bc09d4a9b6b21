"""Tables whose rows are elsewhere: the template is made, what is here is undone, what is there is nobody's business."""

from __future__ import annotations

import psycopg
import pytest

UNREACHABLE = """
create extension postgres_fdw;
create server nowhere foreign data wrapper postgres_fdw options (host '127.0.0.1', port '1');
create user mapping for public server nowhere options (user 'x', password 'y');
create table parts (id int, v text) partition by range (id);
create table here partition of parts for values from (0) to (10);
create foreign table there partition of parts for values from (10) to (20) server nowhere;
create table plain (id serial, v text);
insert into parts values (1, 'seed');
insert into plain (v) values ('seed');
"""


@pytest.fixture(autouse=True)
def has_wrapper(endpoint) -> None:
    """Not all who pack PostgreSQL pack its wrapper so that it can be loaded."""
    with psycopg.connect(endpoint.admin.url()) as connection:
        try:
            connection.execute("load 'postgres_fdw'")
        except psycopg.Error as error:
            pytest.skip(f"this PostgreSQL has no postgres_fdw: {error}")


def test_a_schema_may_have_a_foreign_partition_that_can_not_be_reached(bench) -> None:
    """ANALYZE of its parent would ask it: PostgreSQL gathers the statistics of all other tables."""
    one = bench(UNREACHABLE)
    one.write("insert into parts values (2, 'x'); update plain set v = 'y'; insert into plain (v) values ('z')")
    assert one.undo().path == one.path
    counted = "select relname from pg_class where relname in ('here', 'plain', 'parts') and reltuples > 0 order by 1"
    with one.connect() as connection:
        assert connection.execute(counted).fetchall() == [("here",), ("plain",)]


def test_a_change_of_a_foreign_server_or_table_takes_a_clone(bench) -> None:
    one = bench(UNREACHABLE)
    for change in (
        "alter server nowhere options (set port '2')",
        "alter foreign table there options (table_name 'other')",
        "alter user mapping for public server nowhere options (set password 'z')",
        "create foreign table other (id int) server nowhere",
    ):
        one.write(change)
        one.needs_clone()
    options = "select srvoptions from pg_foreign_server union all select ftoptions from pg_foreign_table"
    with one.connect() as connection:
        assert connection.execute(options).fetchall() == [(["host=127.0.0.1", "port=1"],), (None,)]
