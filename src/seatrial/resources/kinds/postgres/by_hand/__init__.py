"""What somebody does with a PostgreSQL database by hand."""
