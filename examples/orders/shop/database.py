"""The connection to the database, and the session that each request gets."""

import os
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
new_session = sessionmaker(engine)


def get_db() -> Iterator[Session]:
    """A session for one request; what it does not commit is rolled back."""
    with new_session() as session:
        yield session


Db = Annotated[Session, Depends(get_db)]
