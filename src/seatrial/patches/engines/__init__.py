"""SQLAlchemy's engines: how they are made, and who hears of it."""
