"""A server that several machines use at once."""
