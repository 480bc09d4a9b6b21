"""FastAPI with our replacement of its dependency: endpoints in worker threads, errors, exit code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from .conftest import RealCopy, User


def service(engine: Any) -> Any:
    """A service whose dependency commits after the endpoint, and rolls back where that raised."""
    app, log = FastAPI(), []

    def get_db() -> Iterator[Session]:
        with Session(engine) as session:
            try:
                yield session
                session.commit()
                log.append("commit")
            except Exception:
                session.rollback()
                log.append("rollback")
                raise

    @app.post("/users", status_code=201)
    def create(email: str, db: Session = Depends(get_db)) -> None:  # noqa: B008, FAST002  # the older spelling, which resolves where functions are local
        db.add(User(email=email))
        try:
            db.flush()
        except IntegrityError as error:
            raise HTTPException(409) from error

    @app.get("/users")
    def read(db: Session = Depends(get_db)) -> list[str]:  # noqa: B008, FAST002  # the older spelling, which resolves where functions are local
        return list(db.scalars(select(User.email).order_by(User.email)))

    return SimpleNamespace(app=app, get_db=get_db, log=log)


@pytest.mark.parametrize("where", ["here", "elsewhere"])
@pytest.mark.parametrize("joined", [False, True], ids=["reset", "rollback"])
def test_a_service_in_worker_threads(copy: RealCopy, sessions_of: Callable[..., Any], where: str, joined: bool) -> None:
    engine = create_engine(copy.address.url("psycopg") if where == "here" else "postgresql+psycopg://nowhere/none")
    served = service(engine)
    sessions = sessions_of(served.get_db)
    sessions.begin(joined=joined)
    replacement = sessions.dependency()
    if replacement is not None:
        served.app.dependency_overrides[served.get_db] = replacement
    served.log.clear()
    db, client = sessions.session(), TestClient(served.app)

    db.add(User(email="fixture"))
    db.commit()
    assert client.post("/users?email=a").status_code == 201
    assert client.post("/users?email=a").status_code == 409
    assert served.log == ["commit", "rollback"]
    assert client.get("/users").json() == ["a", "fixture"]
    assert list(db.scalars(select(User.email).order_by(User.email))) == ["a", "fixture"]
    assert sessions.end() == ()
    assert copy.emails() == ([] if joined else ["a", "fixture"])
    engine.dispose()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_an_async_service_in_the_tests_own_loop_rolls_back(
    copy: RealCopy, sessions_of: Callable[..., Any], driver: str, where: str
) -> None:
    url = copy.address.url(driver) if where == "here" else f"postgresql+{driver}://nowhere/none"
    engine = create_async_engine(url)
    app = FastAPI()

    async def get_db() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine) as session, session.begin():
            yield session

    @app.post("/users", status_code=201)
    async def create(email: str, db: AsyncSession = Depends(get_db)) -> None:  # noqa: B008, FAST002  # the older spelling, which resolves where functions are local
        db.add(User(email=email))

    sessions = sessions_of(get_db)
    sessions.begin(joined=True)
    replacement = sessions.dependency()
    if replacement is not None:
        app.dependency_overrides[get_db] = replacement
    db = sessions.session()

    async def test() -> set[str]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            responses = await asyncio.gather(*(client.post(f"/users?email={number}") for number in range(5)))
        assert {response.status_code for response in responses} == {201}
        return set(await db.scalars(select(User.email)))

    assert asyncio.run(test()) == {"0", "1", "2", "3", "4"}
    assert sessions.end() == ()
    assert copy.emails() == []
