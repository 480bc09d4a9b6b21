"""Sessions of SQLAlchemy, whose engine joins one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import sessionmaker
from tests.sessions.conftest import RealCopy, User


@pytest.fixture
def engine(copy: RealCopy) -> Iterator[Any]:
    """The app's own engine."""
    engine = create_engine(copy.address.url("psycopg"), pool_size=1, max_overflow=0)
    yield engine
    engine.dispose()


@pytest.fixture
def app(engine: Any) -> Any:
    """The app's own sessions."""
    return sessionmaker(engine, expire_on_commit=False)


@pytest.fixture
def sessions(app: Any, sessions_of: Callable[..., Any]) -> Any:
    sessions = sessions_of(app)
    sessions.begin(joined=True)
    return sessions


def emails(session: Any) -> set[str]:
    return set(session.scalars(select(User.email)))
