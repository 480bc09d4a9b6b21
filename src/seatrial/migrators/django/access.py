"""Django's ORM, usable while a template is made: pytest-django blocks every connection outside of tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def access() -> Iterator[None]:
    """Let this thread's connections open until the end, and close them there. Nothing where Django is not in use."""
    django = sys.modules.get("django.apps")
    if django is None or not django.apps.ready:
        yield
        return
    from django.db import connections

    opened = [connections[alias] for alias in connections]
    for connection in opened:
        connection.ensure_connection = _opener(connection)
    try:
        yield
    finally:
        for connection in opened:
            del connection.ensure_connection
            connection.close()


def _opener(connection: Any) -> Callable[[], None]:
    """What `ensure_connection` of the class does; on the object it is not the blocked one."""

    def ensure_connection() -> None:
        if connection.connection is None:
            with connection.wrap_database_errors:
                connection.connect()

    return ensure_connection
