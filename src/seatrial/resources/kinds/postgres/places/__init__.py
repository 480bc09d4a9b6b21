"""Where a PostgreSQL server is found on a machine, in wheels, in images."""
