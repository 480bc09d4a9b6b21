"""How a copy of a PostgreSQL template gets back to its baseline: find what was written, undo exactly that."""
