"""The schema: the migrations build what the models describe."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from shop.models import Model


def test_migrations_and_models_agree(db):
    assert compare_metadata(MigrationContext.configure(db.connection()), Model.metadata) == []
