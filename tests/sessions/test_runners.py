"""The test's AsyncSession under real test runners: pytest-asyncio with each scope of loop, and anyio's plugin."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .conftest import RealCopy

CONFTEST = """
    import pytest
    from types import SimpleNamespace
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
    from seatrial.resources.protocol import Address
    from seatrial.sessions.choose import open_sessions

    ADDRESS = Address({address})
    engine = create_async_engine(ADDRESS.url("{driver}"))
    make = async_sessionmaker(engine)

    async def get_db():
        async with make() as session:
            yield session

    @pytest.fixture(scope="session")
    def sessions():
        opened = open_sessions(SimpleNamespace(address=ADDRESS), {{"sync": "psycopg", "async": "asyncpg"}}, get_db)
        yield opened
        opened.close()

    @pytest.fixture(params=[False, True], ids=["reset", "rollback"])
    def db(sessions, request):
        sessions.begin(joined=request.param)
        yield sessions.session()
        assert sessions.end() == ()

    @pytest.fixture
    def anyio_backend():
        return {backend}
"""

TESTS = """
    import pytest
    from sqlalchemy import text
    from conftest import make

    {mark}

    @pytest.mark.parametrize("number", range(3))
    async def test_reads_and_writes(db, number):
        await db.execute(text("CREATE TEMP TABLE mine (id int)"))
        await db.execute(text("INSERT INTO mine VALUES (1)"))
        assert await db.scalar(text("SELECT count(*) FROM mine")) == 1
        await db.commit()

    async def test_leaves_a_transaction_open(db):
        await db.execute(text("SELECT 1"))

    async def test_uses_the_session_of_the_app(db):
        await db.execute(text("SELECT 1"))
        async with make() as session:
            await session.execute(text("SELECT 1"))
        await make.kw["bind"].dispose()

    async def test_does_not_use_it(db):
        pass
"""

MARKS = {
    "function": "pytestmark = pytest.mark.asyncio",
    "module": 'pytestmark = pytest.mark.asyncio(loop_scope="module")',
    "package": 'pytestmark = pytest.mark.asyncio(loop_scope="package")',
    "session": 'pytestmark = pytest.mark.asyncio(loop_scope="session")',
    "anyio": "pytestmark = pytest.mark.anyio",
    "anyio on uvloop": "pytestmark = pytest.mark.anyio",
}
UVLOOP = """
    async def test_the_loop_is_uvloop_s(db):
        import asyncio
        assert type(asyncio.get_running_loop()).__module__ == "uvloop"
        await db.execute(text("SELECT 1"))
"""


@pytest.mark.parametrize(
    ("runner", "driver"),
    [*((runner, "asyncpg") for runner in MARKS), ("function", "psycopg"), ("anyio", "psycopg")],
)
def test_no_warning_and_no_connection_is_left(copy: RealCopy, tmp_path: Path, runner: str, driver: str) -> None:
    address = repr(copy.address).removeprefix("Address(").removesuffix(")")
    run(tmp_path, address, runner, driver)


@pytest.mark.parametrize("runner", ["function", "anyio"])
def test_neither_with_sqlite(tmp_path: Path, runner: str) -> None:
    run(tmp_path, f"scheme='sqlite', database={str(tmp_path / 'a.db')!r}", runner, "aiosqlite")


def run(folder: Path, address: str, runner: str, driver: str) -> None:
    mark, uvloop = MARKS[runner], "uvloop" in runner
    backend = ("asyncio", {"use_uvloop": uvloop})
    (folder / "conftest.py").write_text(
        textwrap.dedent(CONFTEST).format(address=address, driver=driver, backend=backend)
    )
    tests = textwrap.dedent(TESTS).format(mark=mark) + (textwrap.dedent(UVLOOP) if uvloop else "")
    (folder / "test_it.py").write_text(tests)
    plugin = "anyio.pytest_plugin" if "anyio" in mark else "pytest_asyncio.plugin"
    scope = "asyncio_default_fixture_loop_scope = function\n" if "asyncio" in plugin else ""
    (folder / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{scope}")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", plugin, str(folder)],
        cwd=folder,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout.lower(), done.stdout
    assert f"{14 if uvloop else 12} passed" in done.stdout, done.stdout
