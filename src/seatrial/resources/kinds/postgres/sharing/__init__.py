"""A PostgreSQL that several machines use at once."""
