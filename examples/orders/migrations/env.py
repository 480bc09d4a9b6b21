"""Run the migrations on the database that the service itself would use."""

from alembic import context

from shop.database import engine
from shop.models import Model

with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Model.metadata)
    with context.begin_transaction():
        context.run_migrations()
