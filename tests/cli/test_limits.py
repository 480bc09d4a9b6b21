"""`seatrial doctor` names what no reset can see: each part of a baseline that only its own process knows of."""

from __future__ import annotations

import pytest

UNSEEN = [
    "Settings", "LISTENs", "advisory locks", "temporary tables", "CACHE > 1", "tablespaces", "ALTER SYSTEM",
    "order of rows", "must open new connections", "lands within the next test",
]  # fmt: skip


@pytest.fixture
def said(shape) -> str:
    shape.files({"seatrial.toml": "[resources.db]\nkind = 'postgres'\nschema = 'a.sql'\n", "a.sql": "select 1"})
    status, out, err = shape.run("doctor", "-C", str(shape.folder), "--no-start")
    assert (status, err) == (0, "")
    return out.partition("What can't be seen from outside:")[2]


def test_doctor_prints_what_a_reset_can_not_see(said):
    assert [word for word in UNSEEN if word not in said] == []
