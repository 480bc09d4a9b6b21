"""Where a PostgreSQL server is found besides a wheel."""
