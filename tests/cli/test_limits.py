"""`seatrial doctor` names what no reset can see: each part of a baseline that only its own process knows of."""

from __future__ import annotations

import pytest

UNSEEN = [
    "Settings", "LISTENs", "advisory locks", "temporary tables", "CACHE > 1", "tablespaces", "ALTER SYSTEM",
    "order of rows", "must open new connections", "lands within the next test",
]  # fmt: skip


def said(shape, kind) -> str:
    shape.files({"seatrial.toml": f"[resources.db]\nkind = '{kind}'\n"})
    status, out, err = shape.run("doctor", "-C", str(shape.folder), "--no-start")
    assert (status, err) == (0, "")
    return out.partition("What can't be seen from outside:")[2]


def test_doctor_prints_what_a_reset_can_not_see(shape):
    told = said(shape, "postgres")
    assert [word for word in UNSEEN if word not in told] == []


@pytest.mark.parametrize(("kind", "unseen"), [("sqlite", UNSEEN[-3:]), ("nats", UNSEEN[-2:])])
def test_doctor_tells_of_no_limit_that_only_another_kind_has(shape, kind, unseen):
    told = said(shape, kind)
    assert [word for word in UNSEEN if word in told] == unseen
