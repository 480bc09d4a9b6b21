"""Our own connections: what is broken off leaves none that is out of step, or half set up."""

from __future__ import annotations

import pytest
from tests.fuse import BrokenOff

from seatrial.resources.kinds.mysql import connection
from seatrial.resources.kinds.mysql.connection import Link, connect


def test_a_connection_that_is_broken_off_while_it_is_opened_again_is_not_gone_on_with(server, monkeypatch) -> None:
    execute, setting = connection._execute, "SET SESSION foreign_key_checks = 0"
    link = Link(server.endpoint)
    assert link.always(setting)
    with connect(server.endpoint) as other, other.cursor() as cursor:
        cursor.execute(f"KILL {link.pid}")

    def break_off(which: object, statement: str) -> object:
        if statement == setting:
            monkeypatch.undo()
            raise BrokenOff
        return execute(which, statement)

    monkeypatch.setattr(connection, "_execute", break_off)
    with pytest.raises(BrokenOff):
        link.rows("SELECT 1")
    assert link.rows("SELECT @@foreign_key_checks") == [(0,)]
    link.close()
