"""A MySQL or MariaDB that several machines use at once."""
