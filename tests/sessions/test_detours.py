"""While a test is joined, drivers are led elsewhere; our own connections are not."""

from __future__ import annotations

import threading

from seatrial.resources.protocol import Address
from seatrial.sessions.detours import OURS, Detours

ADDRESS = Address(scheme="postgresql", host="127.0.0.1", port=7001, user="shop", database="shop")


def led() -> Detours:
    detours = Detours()
    detours.lead(ADDRESS, "/tmp/folder", 1)
    return detours


def test_who_connects_to_the_address_by_any_of_its_names_is_led_until_the_end():
    detours = led()
    assert detours.find("localhost", 7001, "shop") == ("/tmp/folder", 1)
    assert detours.find("localhost", 7001, "other") is None
    assert detours.find("localhost", 7002, "shop") is None
    detours.end(ADDRESS)
    detours.end(ADDRESS)
    assert detours.find("localhost", 7001, "shop") is None


def test_our_own_connections_are_real_ones():
    assert led().find("127.0.0.1", 7001, "shop", OURS) is None


def test_one_thread_may_go_past_it_while_others_are_led():
    detours, found = led(), []
    other = threading.Thread(target=lambda: found.append(detours.find("127.0.0.1", 7001, "shop")))
    with detours.past():
        assert detours.find("127.0.0.1", 7001, "shop") is None
        other.start()
        other.join()
    assert found == [("/tmp/folder", 1)]
    assert detours.find("127.0.0.1", 7001, "shop") == ("/tmp/folder", 1)
