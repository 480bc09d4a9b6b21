"""A connection of PyMySQL's that stays the same object from first test to last, and is as new for each of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from seatrial.resources.kinds.mysql.connection import arguments, plain

if TYPE_CHECKING:
    import pymysql

    from seatrial.resources.protocol import Address


class Connection:
    """A `pymysql.Connection`, closed and opened again in place for each test that follows one that used it."""

    def __init__(self, address: Address) -> None:
        self.value: pymysql.Connection[Any] = plain(address)
        self._arguments = {**arguments(address), **_as_secure(self.value)}

    def settle(self) -> None:
        """End the transaction."""
        import pymysql

        with suppress(pymysql.err.Error):  # it may be closed
            self.value.rollback()

    def renew(self) -> None:
        """As new. `pymysql.Connection.__init__` may be called again."""
        self.close()
        self.value.__init__(**self._arguments)  # the same object, on purpose

    replace = renew

    def close(self) -> None:
        """Close it, if the test has not."""
        import pymysql

        with suppress(pymysql.err.Error):
            self.value.close()


def _as_secure(connection: pymysql.Connection[Any]) -> dict[str, Any]:
    """Arguments by which the next connection is what this one is: encrypted, or not.

    Left alone, PyMySQL reads the machine's certificates for each, in case the server wants them: 25 ms with OpenSSL 3.
    """
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        [(_, cipher)] = cursor.fetchall()
    return {"ssl": connection.ctx} if cipher else {"ssl_disabled": True}
