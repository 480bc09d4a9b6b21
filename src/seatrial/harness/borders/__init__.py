"""The borders of one test on one resource: what is chosen at its beginning, and told at its end."""
