"""The app's own dependency: what it yields, and how it is run in the tests."""
