"""Accounts, and what they have to do."""
