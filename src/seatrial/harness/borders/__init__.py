"""The borders of one test, or one fixture, on one resource: what is chosen at its beginning, told at its end."""
