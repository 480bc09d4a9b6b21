"""Roles belong to the whole server: those that copies are used as, and those that a template's steps have made."""
