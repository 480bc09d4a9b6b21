"""Rollback for apps whose drivers are spoken to directly: their connections meet in one transaction on the wire."""
