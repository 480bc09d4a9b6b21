"""Templates on one PostgreSQL server: how they are filled, come to rest, lie as layers, and go in the end."""
