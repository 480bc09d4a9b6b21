"""Fixed addresses and servers of others: served exactly as asked, and never touched beyond our own databases."""

from __future__ import annotations

import json
import socket
from contextlib import closing

import psycopg
import pytest


@pytest.fixture
def free_port():
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_a_resource_is_served_at_the_role_password_database_and_port_that_were_asked_for(service, free_port):
    service.write(
        {
            "tests/test_at.py": f"""
            import psycopg

            def test_at():
                with psycopg.connect("postgresql://test:te%20st@localhost:{free_port}/testdb") as connection:
                    assert connection.execute("select current_user, current_database()").fetchone() == ("test", "testdb")
            """
        }
    )
    config = service.folder / "pyproject.toml"
    config.write_text(config.read_text() + f'at = "postgresql://test:te%20st@localhost:{free_port}/testdb"\n')
    for _ in range(2):
        outcome = service.pytest("-q", "tests/test_at.py")
        assert outcome.status == 0, outcome.text


def test_a_port_that_somebody_has_is_told_with_the_program_that_has_it(service, free_port):
    config = service.folder / "pyproject.toml"
    config.write_text(config.read_text() + f'at = "postgresql://test:test@localhost:{free_port}/testdb"\n')
    with closing(socket.create_server(("127.0.0.1", free_port))):
        outcome = service.pytest("-q", "tests", "-k", "cascade")
    assert outcome.status != 0
    assert f"port {free_port} is taken" in outcome.text


def test_a_fixed_address_and_several_workers_are_refused_with_the_reason(service, free_port):
    config = service.folder / "pyproject.toml"
    config.write_text(config.read_text() + f'at = "postgresql://test:test@localhost:{free_port}/testdb"\n')
    for options in (("-n", "2"), ("-p", "xdist", "-d", "--tx", "2*popen")):
        outcome = service.pytest("-q", *options, "tests")
        assert outcome.status != 0
        assert "and 2 workers are to run the tests\n  why: only one worker" in outcome.text
        assert "run without -n" in outcome.text
    assert service.pytest("-q", "-n", "1", "tests").status == 0


def test_workers_that_are_only_described_are_none(service, free_port):
    service.write(
        {
            "tests/test_at.py": f"""
            import psycopg

            def test_at():
                psycopg.connect("postgresql://test:test@localhost:{free_port}/testdb").close()
            """
        }
    )
    config = service.folder / "pyproject.toml"
    config.write_text(config.read_text() + f'at = "postgresql://test:test@localhost:{free_port}/testdb"\n')
    outcome = service.pytest("-q", "-p", "xdist", "--tx", "2*popen", "tests/test_at.py")  # without -d or --dist
    assert outcome.status == 0, outcome.text
    outcome = service.pytest("-q", "-n", "2", "--collect-only", "tests/test_at.py")
    assert outcome.status == 0, outcome.text


@pytest.fixture
def foreign(service):
    """A server that the project did not start, with somebody's data in it."""
    service.write(
        {
            "elsewhere/seatrial.toml": '[resources.db]\nkind = "postgres"\n',
            "elsewhere/address.py": "import os\nprint(os.environ['DATABASE_URL'])\n",
        }
    )
    elsewhere = type(service)(service.folder / "elsewhere", service.environ)
    try:
        url = json.loads(elsewhere.seatrial("up", "--json").text)[0]["url"]
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create table precious (id int); insert into precious values (1)")
        yield url
    finally:
        elsewhere.end_servers()


def test_with_a_url_our_databases_are_made_beside_the_one_it_names_which_stays_as_it_is(service, foreign):
    outcome = service.pytest("-q", "tests", SEATRIAL_DB_URL=foreign)
    assert outcome.status == 0, outcome.text
    with psycopg.connect(foreign) as connection:
        tables = connection.execute(
            "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
        )
        assert tables.fetchall() == [("precious",)]
        assert connection.execute("select count(*) from precious").fetchone() == (1,)
        left = connection.execute("select datname from pg_database where datname like 'db\\_%\\_main'").fetchall()
        assert left == []


def test_a_url_whose_role_may_not_create_databases_is_refused_and_nothing_is_touched(service, foreign):
    with psycopg.connect(foreign, autocommit=True) as connection:
        connection.execute("create role poor login password 'poor'")
        before = connection.execute("select count(*) from pg_database").fetchone()
    poor = foreign.replace(foreign.split("//")[1].split("@")[0], "poor:poor")
    outcome = service.pytest("-q", "tests", "-k", "cascade", SEATRIAL_DB_URL=poor)
    assert outcome.status != 0
    assert "CREATEDB" in outcome.text
    with psycopg.connect(foreign) as connection:
        assert connection.execute("select count(*) from pg_database").fetchone() == before
