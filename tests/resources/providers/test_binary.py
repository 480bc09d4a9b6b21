"""Installed servers are found on PATH and in the usual places, the newest that fits first."""

from __future__ import annotations

import psycopg
import pytest

from seatrial.errors import ProviderError
from seatrial.resources.providers.binary import Binary
from seatrial.resources.providers.fit import satisfies


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs programs that tell a version, and do nothing else."""
    monkeypatch.setenv("PATH", "")

    def make(*versions):
        for version in versions:
            folder = tmp_path / "lib" / version.split(".")[0] / "bin"
            folder.mkdir(parents=True)
            (folder / "postgres").write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version} (Distro 1-2)'\n")
            (folder / "postgres").chmod(0o755)
        return (str(tmp_path / "lib" / "*" / "bin"),)

    return make


def test_the_newest_that_fits_is_taken(spec, install):
    found = Binary()._find(spec(folders=install("9.6", "14.2", "16.4", "17.0")))
    assert found.parent.name == "17"


def test_a_version_that_does_not_fit_is_passed_over(spec, install):
    found = Binary()._find(spec(version="<17", folders=install("14.2", "16.4", "17.1")))
    assert found.parent.name == "16"


def test_what_is_on_path_comes_first(spec, install, monkeypatch, tmp_path):
    folders = install("14.2", "16.4")
    monkeypatch.setenv("PATH", str(tmp_path / "lib" / "14" / "bin"))
    assert Binary()._find(spec(folders=folders)).parent.name == "14"


def test_each_one_that_does_not_fit_has_its_reason(spec, install):
    reason = Binary().probe(spec(version=">=17", folders=install("12.3", "16.4")))
    assert "16/bin: it is version 16.4, and >=17 is wanted" in reason
    assert "12/bin: it is version 12.3" in reason
    reason = Binary().probe(spec(folders=install("13.3")[:0]))
    assert "no postgres on PATH" in reason


def test_one_that_is_too_old_for_us_says_so(spec, install):
    assert "before 14 is not supported" in Binary().probe(spec(folders=install("13.9")))


def test_one_that_can_t_be_run_says_so(spec, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "postgres").write_text("no program")
    (tmp_path / "postgres").chmod(0o755)
    reason = Binary().probe(spec(folders=()))
    assert f"{tmp_path}/postgres can't be run" in reason
    with pytest.raises(ProviderError, match="no server on this machine can serve postgres"):
        Binary().reserve(spec(folders=()))


def test_an_installed_server_starts(spec, reserve):
    if Binary().probe(spec()) is not None:
        pytest.skip("this machine has no PostgreSQL of its own")
    server = reserve(Binary())
    assert server.start() is False
    with psycopg.connect(server.endpoint.admin.url()) as connection:
        assert connection.execute("show server_version").fetchone()[0].startswith(server.endpoint.version)


@pytest.mark.parametrize(
    ("version", "requirement", "fits"),
    [
        ("18.6", "", True),
        ("18.6", ">=16", True),
        ("18.6", ">=16,<18", False),
        ("18.6", "18", True),
        ("18.6", "18.6", True),
        ("18.6", "18.60", False),
        ("18.6", "1", False),
        ("18.6", "==18.*", True),
        ("19b1", ">=18", True),
        ("19.dev0", ">=18", True),
    ],
)
def test_versions_and_requirements(version, requirement, fits):
    assert satisfies(version, requirement) is fits
