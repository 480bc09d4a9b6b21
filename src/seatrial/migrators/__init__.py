"""Steps that bring an empty database to its baseline: schemas, migrations, seed data."""
