"""Integration tests on real dependencies; every test starts from the same state."""

__version__ = "0.1.0"
