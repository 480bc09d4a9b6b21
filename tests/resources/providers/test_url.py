"""A server that somebody else runs is used as it is: never started, never ended."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.errors import ConfigError, ProviderError
from seatrial.resources.kinds.mysql import MySQL, mariadb
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.redis import Redis
from seatrial.resources.kinds.s3 import S3
from seatrial.resources.protocol import Address, Requirements
from seatrial.resources.providers import url as module
from seatrial.resources.providers.url import Url, parse

NAMES = st.text(min_size=1).filter(lambda text: text.isprintable())


@given(
    user=NAMES,
    password=st.text(),
    database=NAMES.filter(lambda text: not text.startswith("/")),
    port=st.integers(1, 65535),
)
def test_every_url_that_we_write_is_read_back(user, password, database, port):
    address = Address(
        scheme="postgresql", host="db.example.org", port=port, user=user, password=password, database=database
    )
    assert parse(address.url()) == address
    assert parse(address.url("psycopg")) == address


def test_the_short_scheme_and_the_usual_port():
    assert parse("postgres://u:p@h/d") == Address(
        scheme="postgresql", host="h", port=5432, user="u", password="p", database="d"
    )


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("postgresql:///app", "no host, no user"),
        ("postgresql://u:hunter22@h", "no database"),
        ("postgresql://u:hunter22@h:port/d", "not a URL"),
        ("postgresql://u:hun/ter22@h/d", "not a URL"),
        ("postgresql://u:1/hunter22@h/d", "not a URL"),
        ("postgresql://u:hun#ter22@h/d", "not a URL"),
        ("postgresql://u:hun[ter22@h/d", "not a URL"),
        ("nothing at all", "no host, no user"),
    ],
)
def test_a_url_that_is_none_is_refused_without_its_password(url, what):
    with pytest.raises(ConfigError) as caught:
        parse(url)
    assert what in caught.value.what
    assert not re.search("hun|ter22", str(caught.value))
    assert "postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in caught.value.fix


@pytest.mark.parametrize(
    ("kind", "url", "what", "fix"),
    [
        (Postgres(), "mysql://u:hunter22@h/d", "not the address of a postgres server", "write it as postgresql://USER"),
        (mariadb(), "postgresql://u:hunter22@h/d", "not the address of a mariadb server", "write it as mysql://USER"),
        (mariadb(), "mysql://h/d", "no user", "write it as mysql://USER:PASSWORD@HOST:PORT"),
        (Redis(), "redis://", "no host", "write it as redis://"),
        (S3(), "http://h", "no user", "write it as http://KEY:SECRET@HOST"),
    ],
)
def test_a_url_that_is_not_the_kind_s_is_refused_with_its_form(kind, url, what, fix, tmp_path):
    with pytest.raises(ConfigError) as caught:
        Url().reserve(kind.spec(Requirements(project=tmp_path, url=url)))
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert "hunter22" not in str(caught.value)


def reserved(tmp_path, parameters):
    return Url().reserve(
        Postgres().spec(Requirements(project=tmp_path, url=f"postgresql://u:hunter22@h/d?{parameters}"))
    )


def test_a_wish_for_encryption_is_refused_where_it_would_be_lost(tmp_path, monkeypatch):
    monkeypatch.delenv("PGSSLMODE", raising=False)
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)

    for parameters in ("sslmode=prefer", "sslmode=disable&application_name=x", "schema=public&connection_limit=5"):
        assert reserved(tmp_path, parameters).endpoint.admin.database == "d"
    with pytest.raises(ConfigError) as caught:
        reserved(tmp_path, "application_name=x&sslmode=verify-full&sslrootcert=/etc/ca.pem")
    assert "sslmode=verify-full" in caught.value.what
    assert "export PGSSLMODE=verify-full" in caught.value.fix
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    with pytest.raises(ConfigError, match=r"sslrootcert=/etc/ca\.pem"):
        reserved(tmp_path, "sslmode=verify-full&sslrootcert=/etc/ca.pem")
    monkeypatch.setenv("PGSSLROOTCERT", "/etc/ca.pem")
    assert reserved(tmp_path, "sslmode=verify-full&sslrootcert=/etc/ca.pem").endpoint.admin.host == "h"


@pytest.mark.parametrize("asked", ["ssl_ca=/etc/ca.pem", "ssl-mode=REQUIRED", "useSSL=true", "tls=skip-verify"])
def test_a_wish_for_encryption_of_mysql_s_is_refused(tmp_path, asked):
    for kind in (MySQL(), mariadb()):

        def reserve(parameters, kind=kind):
            url = f"mysql://u:hunter22@h/?{parameters}"
            return Url().reserve(kind.spec(Requirements(project=tmp_path, url=url)))

        with pytest.raises(ConfigError) as caught:
            reserve(f"charset=utf8mb4&{asked}")
        assert asked in caught.value.what
        assert "hunter22" not in str(caught.value)
        assert reserve("charset=utf8mb4&ssl_disabled=true&useSSL=false&ssl-mode=PREFERRED").endpoint.admin.host == "h"


@pytest.mark.parametrize("value", ["require", "true", "1", "no-verify"])
def test_a_wish_for_encryption_in_the_words_of_other_drivers_is_refused_as_well(tmp_path, monkeypatch, value):
    monkeypatch.delenv("PGSSLMODE", raising=False)
    with pytest.raises(ConfigError) as caught:
        reserved(tmp_path, f"ssl={value}")
    assert f"ssl={value}" in caught.value.what
    assert "export PGSSLMODE=require:" in caught.value.fix
    monkeypatch.setenv("PGSSLMODE", "require")
    assert reserved(tmp_path, f"ssl={value}&sslmode=0&ssl=false").endpoint.admin.host == "h"


def test_who_exports_more_than_the_url_asks_for_is_not_told_to_lower_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert reserved(tmp_path, "sslmode=require").endpoint.admin.host == "h"
    monkeypatch.setenv("PGSSLMODE", "require")
    with pytest.raises(ConfigError, match="sslmode=verify-ca"):
        reserved(tmp_path, "sslmode=verify-ca")


@pytest.mark.parametrize("url", ["mariadb+pymysql://u:p@h", "mysql://u:p@h:3306/"])
def test_a_mariadb_goes_by_either_scheme_and_needs_no_database(url, tmp_path):
    admin = Url().reserve(mariadb().spec(Requirements(project=tmp_path, url=url))).endpoint.admin
    assert admin == Address(scheme="mysql", host="h", port=3306, user="u", password="p")


def test_without_a_url_there_is_nothing_to_use(spec):
    assert Url().probe(spec()) == "the configuration has no `url`"
    assert Url().probe(spec(url="postgresql://u:p@h/d")) is None


def test_a_running_server_is_used_and_left_running(spec, reserve):
    theirs = reserve()
    theirs.start()
    server = Url().reserve(spec(url=theirs.endpoint.admin.url()))
    assert server.endpoint.admin == theirs.endpoint.admin
    assert not server.endpoint.owned
    assert server.start() is True
    assert server.endpoint.version == theirs.endpoint.version
    assert server.alive()
    assert (server.log_tail(), server.log_size()) == ("", 0)
    server.release()
    assert theirs.alive()


def test_a_server_of_the_wrong_version_is_refused(spec, reserve):
    theirs = reserve()
    theirs.start()
    with pytest.raises(ProviderError) as caught:
        Url().reserve(spec(url=theirs.endpoint.admin.url(), version="<16")).start()
    assert "the configuration asks for version <16" in caught.value.cause
    assert theirs.endpoint.admin.password not in str(caught.value)


def test_a_server_that_refuses_us_is_quoted_without_the_password(spec, reserve, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    theirs = reserve()
    theirs.start()
    wrong = replace(theirs.endpoint.admin, password="hunter22")
    with pytest.raises(ProviderError) as caught:
        Url().reserve(spec(url=wrong.url())).start()
    assert "password authentication failed" in caught.value.cause
    assert "hunter22" not in str(caught.value)


def test_a_server_that_is_not_there_is_named(spec, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    with pytest.raises(ProviderError) as caught:
        Url().reserve(spec(url="postgresql://u:hunter22@127.0.0.1:1/d")).start()
    assert "127.0.0.1:1/d" in caught.value.what
    assert "refused" in caught.value.cause
    assert "hunter22" not in str(caught.value)


def test_nobody_waits_for_a_server_whose_host_has_no_address(spec, monkeypatch):
    def waits(seconds):
        raise AssertionError("waited for a name that leads nowhere")

    monkeypatch.setattr("seatrial.core.wait.pause", waits)
    server = Url().reserve(spec(url="postgresql://u:p@no-such-host.invalid/seatrial_test"))
    with pytest.raises(ProviderError, match=r"does not accept a connection.*no-such-host\.invalid"):
        server.start()
