"""Who must run before whom."""

from __future__ import annotations

from seatrial.services.order import needed, rounds

NEEDS = {"shop": ("orders", "users"), "orders": ("stock",), "users": (), "stock": (), "mail": ()}


def test_what_a_wanted_service_needs_is_needed_too():
    assert needed(["shop"], NEEDS) == {"shop", "orders", "users", "stock"}
    assert needed(["mail"], NEEDS) == {"mail"}
    assert needed([], NEEDS) == set()


def test_those_of_one_round_wait_for_nobody_in_it():
    assert list(rounds(needed(["shop"], NEEDS), NEEDS)) == [("stock", "users"), ("orders",), ("shop",)]
