"""Addresses of one service for another."""

from __future__ import annotations

import pytest

from seatrial.services.edge import Edge


@pytest.fixture
def edge():
    """Makes addresses. To open or close one twice is as once."""
    opened = []

    def make(answer):
        opened.append(Edge("orders", "stock", answer))
        opened[-1].open()
        opened[-1].open()
        return opened[-1]

    yield make
    for each in opened:
        each.close()
        each.close()
