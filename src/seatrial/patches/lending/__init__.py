"""Connections of the app's pools: which are stale, and what a test that used one has left in it."""
