"""Sessions of plain drivers, whose connections join one transaction on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.sessions.conftest import DRIVERS, RealCopy

from seatrial.patches.applied import Applied
from seatrial.patches.led_drivers import LedAsyncpg, LedPsycopg, LedPsycopg2
from seatrial.patches.lending.psycopg import stale_psycopg
from seatrial.patches.stale_pools import stale_asyncpg
from seatrial.patches.stale_psycopg2 import stale_psycopg2
from seatrial.sessions.choose import open_sessions
from seatrial.sessions.detours import Detours
from seatrial.sessions.pools import Pools

INSERT = "INSERT INTO users (email) VALUES (%s)"
EMAILS = "SELECT email FROM users ORDER BY email"


@pytest.fixture
def idle(copy: RealCopy) -> Iterator[Any]:
    """Sessions of plain drivers, and the patches that a harness applies; no test runs."""
    pools, detours = Pools(), Detours()
    stale = [stale_psycopg(pools), stale_asyncpg(pools), stale_psycopg2(pools)]
    led = [LedPsycopg(detours), LedAsyncpg(detours), LedPsycopg2(detours)]
    with Applied([*stale, *led]):
        sessions = open_sessions(copy, DRIVERS, pools=pools, detours=detours)
        yield sessions
        sessions.close()


@pytest.fixture
def sessions(idle: Any) -> Any:
    """A joined test runs."""
    idle.begin(joined=True)
    return idle


@pytest.fixture
def url(copy: RealCopy) -> str:
    return copy.address.url()


def emails(sessions: Any) -> list[str]:
    """What the test sees."""
    db = sessions.session()
    found = [email for (email,) in db.execute(EMAILS)]
    db.rollback()
    return found
