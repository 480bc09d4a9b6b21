"""What tests and apps use of a copy: sessions of SQLAlchemy, connections of a driver."""
