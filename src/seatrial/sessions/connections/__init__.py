"""Connections that sessions are made on: our own engines and connections, as new at the start of each test."""
