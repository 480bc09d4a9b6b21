"""Run the migrations on the database that the service itself would use."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from bookings.database import engine
from bookings.models import Model


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Model.metadata)
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


asyncio.run(main())
