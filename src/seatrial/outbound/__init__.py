"""Calls to services that we do not run."""
