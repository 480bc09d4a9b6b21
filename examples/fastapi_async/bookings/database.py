"""The connection to the database, and the session that each request gets."""

import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
new_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    """A session for one request; what it does not commit is rolled back."""
    async with new_session() as session:
        yield session


Db = Annotated[AsyncSession, Depends(get_session)]
