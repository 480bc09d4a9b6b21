"""A server that several machines use at once: what is the same for every kind of server."""
