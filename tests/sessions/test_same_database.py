"""An engine of the app's is known for one on the test's database, however its URL is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from seatrial.resources.protocol import Address
from seatrial.sessions.connections.engines import same_database

POSTGRES = Address(scheme="postgresql", host="127.0.0.1", port=7001, user="shop", database="shop")
MARIADB = Address(scheme="mysql", host="localhost", port=7002, user="shop", database="shop")
FAR = Address(scheme="postgresql", host="db.example", port=7001, user="shop", database="shop")


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (POSTGRES, "postgresql+psycopg://shop@127.0.0.1:7001/shop"),
        (POSTGRES, "postgresql+asyncpg://other:secret@localhost:7001/shop"),
        (POSTGRES, "postgresql://shop@/shop?host=localhost&port=7001"),
        (POSTGRES, "postgresql://shop@/shop?host=localhost&host=127.0.0.1&port=7001&port=7001"),
        (POSTGRES, "postgresql://shop@/shop?host=/tmp/sockets&port=7001"),
        (POSTGRES, "postgresql://shop@localhost:7001"),
        (FAR, "postgresql://shop@db.example:7001/shop"),
        (MARIADB, "mariadb+pymysql://shop@127.0.0.1:7002/shop"),
        (MARIADB, "mysql+aiomysql://shop@localhost:7002/shop"),
    ],
)
def test_a_url_of_another_driver_role_or_name_of_this_machine_leads_to_the_same_database(
    address: Address, url: str
) -> None:
    assert same_database(make_url(url), address)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (POSTGRES, "postgresql://shop@127.0.0.1:7002/shop"),
        (POSTGRES, "postgresql://shop@/shop?host=localhost&port=7002"),
        (POSTGRES, "postgresql://shop@/shop?host=db.example&port=7001"),
        (POSTGRES, "postgresql://shop@127.0.0.1:7001/other"),
        (POSTGRES, "postgresql://other@127.0.0.1:7001"),
        (POSTGRES, "mysql+pymysql://shop@127.0.0.1:7001/shop"),
        (FAR, "postgresql://shop@localhost:7001/shop"),
        (FAR, "postgresql://shop@/shop?host=/tmp/sockets&port=7001"),
    ],
)
def test_another_port_host_database_or_kind_is_another_one(address: Address, url: str) -> None:
    assert not same_database(make_url(url), address)


def test_a_file_is_the_same_by_whichever_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    address = Address(scheme="sqlite", database=str(tmp_path / "shop.db"))
    assert same_database(make_url("sqlite:///shop.db"), address)
    assert same_database(make_url(f"sqlite+aiosqlite:///{tmp_path}/shop.db"), address)
    assert not same_database(make_url("sqlite:///other.db"), address)
    assert not same_database(make_url("sqlite://"), address)
