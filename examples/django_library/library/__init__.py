"""Books, and their loans."""
