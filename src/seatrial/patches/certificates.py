"""PyMySQL reads the machine's certificates for each connection that may be encrypted: here it does so once.

That takes 25 ms with OpenSSL 3, many times what the connection itself takes, and each test gets new ones. A context
that verifies nothing, as it is where nothing was asked for, can be that of any number of connections.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from seatrial.patches.replacing import Changes, Replacing


def read_once() -> Replacing:
    """For connections whose arguments say nothing of encryption; others are made as ever."""
    return Replacing("PyMySQL: read certificates once", "pymysql.connections", _change)


def _change(module: ModuleType, changes: Changes) -> None:
    kind: Any = module.Connection
    create = kind._create_ssl_ctx  # noqa: SLF001  # there is no public way to give all connections one context
    made: list[Any] = []

    def once(connection: Any, asked: Any) -> Any:
        if asked:
            return create(connection, asked)
        if not made:
            made.append(create(connection, asked))
        return made[0]

    changes.replace(kind, "_create_ssl_ctx", once)
