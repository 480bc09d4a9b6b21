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
        self._address = address
        self.value: pymysql.Connection[Any] = plain(address)

    def settle(self) -> None:
        """End the transaction."""
        import pymysql

        with suppress(pymysql.Error):  # it may be closed
            self.value.rollback()

    def renew(self) -> None:
        """As new. `pymysql.Connection.__init__` may be called again."""
        self.close()
        self.value.__init__(**arguments(self._address))  # the same object, on purpose

    replace = renew

    def close(self) -> None:
        """Close it, if the test has not."""
        import pymysql

        with suppress(pymysql.Error):
            self.value.close()
