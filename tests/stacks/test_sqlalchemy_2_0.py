"""SQLAlchemy 2.0, in an environment of its own: our own has 2.1, and many services will stay where they are."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec

import pytest

SERVICE = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["."]
        filterwarnings = ["error"]

        [tool.seatrial]
        app = "service:app"

        [tool.seatrial.resources.db]
        kind = "postgres"
        schema = "service:Base"
        override = "service:get_db"
        env = { DATABASE_URL = "postgresql+psycopg2://{user}:{password}@{host}:{port}/{database}" }

        [tool.seatrial.resources.adb]
        kind = "postgres"
        schema = "service:Base"
        override = "service:get_async_db"
        env = { ASYNC_URL = "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}" }
        """,
    "service.py": """
        import os
        from typing import Annotated
        from fastapi import Depends, FastAPI
        from sqlalchemy import create_engine, func, select
        from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
        from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

        engine = create_engine(os.environ["DATABASE_URL"])
        async_engine = create_async_engine(os.environ["ASYNC_URL"])
        new_session, new_async_session = sessionmaker(engine), async_sessionmaker(async_engine)

        class Base(DeclarativeBase):
            pass

        class Book(Base):
            __tablename__ = "books"
            id: Mapped[int] = mapped_column(primary_key=True)
            title: Mapped[str] = mapped_column(unique=True)

        NUMBER = select(func.count()).select_from(Book)

        def get_db():
            with new_session() as session:
                yield session

        async def get_async_db():
            async with new_async_session() as session:
                yield session

        app = FastAPI()

        @app.post("/books/{title}")
        def create(title: str, db: Annotated[Session, Depends(get_db)]) -> int:
            db.add(book := Book(title=title))
            db.commit()
            return book.id

        @app.post("/async/books/{title}")
        async def create_async(title: str, db: Annotated[AsyncSession, Depends(get_async_db)]) -> list[int]:
            db.add(Book(title=title))
            await db.commit()
            streamed = await db.stream(select(Book.id).order_by(Book.id))
            return [row.id async for row in streamed]
        """,
    "test_service.py": """
        import pytest
        import sqlalchemy
        from service import NUMBER, Book
        from sqlalchemy.ext.asyncio import AsyncSession

        MODES = [pytest.mark.seatrial(db=mode, adb=mode) for mode in ("reset", "rollback", "clone")]
        every_mode = pytest.mark.parametrize("again", [
            pytest.param(n, marks=mark, id=f"{mark.kwargs['db']}-{n}") for mark in MODES for n in range(2)
        ])

        def test_it_is_2_0():
            assert sqlalchemy.__version__.startswith("2.0.")

        @every_mode
        def test_sync(client, db, again):
            db.add(Book(title="of the test"))
            db.commit()
            assert client.post("/books/lamp").json() == 2
            assert db.scalar(NUMBER) == 2

        @every_mode
        @pytest.mark.anyio
        async def test_async(async_client, adb, again):
            assert isinstance(adb, AsyncSession)
            adb.add(Book(title="of the test"))
            await adb.commit()
            assert (await async_client.post("/async/books/lamp")).json() == [1, 2]
            assert await adb.scalar(NUMBER) == 2

        @pytest.fixture
        def anyio_backend():
            return "asyncio"
        """,
}


def test_sync_and_async_sessions_of_sqlalchemy_2_0_in_each_isolation(project, tmp_path_factory):
    if find_spec("uv") is None:
        pytest.skip("uv is not installed, which makes the environment")
    place = tmp_path_factory.mktemp("sqlalchemy_2_0") / "venv"
    python = place / "bin" / "python"
    uv = [sys.executable, "-m", "uv", "--no-config"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "UV_"))}

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*uv, *argv], env=environ, capture_output=True, text=True, timeout=600, check=False)

    made = run("venv", "--no-python-downloads", "--python", sys.executable, str(place))
    assert made.returncode == 0, made.stderr
    done = run("pip", "install", "--python", str(python), "sqlalchemy[asyncio]>=2.0.30,<2.1")
    if done.returncode:
        pytest.skip(f"SQLAlchemy 2.0 can't be had here: {done.stderr.strip().splitlines()[-1]}")
    # All else is ours: its folder comes after that of the new environment.
    (packages,) = place.glob("lib/python*/site-packages")
    packages.joinpath("ours.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    project.write(SERVICE)
    outcome = project.run(str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "anyio.pytest_plugin")
    assert outcome.status == 0, outcome.text
    assert outcome.counts() == {"passed": 13}, outcome.text
