"""The real server of the sessions' tests, for the pools of patches."""

from tests.sessions.conftest import copy, server

__all__ = ["copy", "server"]
