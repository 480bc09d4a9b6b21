"""An event trigger for logins is called for the app and its tests; our own connections come and go unheard."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from seatrial.errors import IsolationError
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.postgres.connection import Link

NOTED = """
create table logins (id serial); create table t (id int); insert into t values (1); create unlogged table u (id int);
insert into u values (1);
create function note() returns event_trigger language plpgsql as $$ begin insert into logins default values; end $$;
create event trigger noted on login execute function note();
"""


@pytest.fixture
def noted(embedded, embedded_store, bench_on):
    if embedded.version.split(".")[0] < "17":
        pytest.skip("event triggers for logins came with PostgreSQL 17")
    one = bench_on(embedded_store, NOTED)
    yield one
    embedded_store.drop(one.name)


def logins(one) -> list[int]:
    """Those before the one that asks."""
    with one.connect() as app:
        return [number for (number,) in app.execute("select id from logins order by id")][:-1]


def test_undoing_cloning_and_auditing_are_no_logins(noted, embedded) -> None:
    audit = Postgres().auditor(embedded, noted.copy.address, alone=False)
    noted.copy.renew()
    baseline = audit.baseline()
    for _ in range(2):
        noted.write("delete from t")
        noted.copy.undo()
        assert not audit.differences(baseline)
        assert logins(noted) == []
        noted.copy.renew()
        assert not audit.differences(baseline)


def test_who_may_not_switch_such_a_trigger_off_is_told_what_it_takes(noted, embedded) -> None:
    with psycopg.connect(embedded.admin.url(), autocommit=True) as admin:
        admin.execute("create role poor login password 'x'")
        inside = Link(replace(embedded, admin=replace(embedded.admin, user="poor", password="x")), noted.name)
        assert admin.execute("select has_parameter_privilege('poor', 'event_triggers', 'SET')").fetchone() == (False,)
        with pytest.raises(IsolationError) as caught:
            inside.quiet()
        admin.execute("drop role poor")
    assert 'GRANT SET ON PARAMETER event_triggers TO "poor"' in caught.value.fix
    assert "permission denied for table logins" in caught.value.cause
