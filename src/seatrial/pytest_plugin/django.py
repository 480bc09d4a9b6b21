"""What pytest-django and Django's own test cases mean for leases: which tests use a database, and for how long."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping

import pytest

from seatrial.patches.django.ours import Ours
from seatrial.resources.protocol import Address


class DjangoTests:
    """Answers for each item; of no weight where Django is not in use.

    Args:
        addresses: of this worker's copies, by resource.
        meant: resources that the configuration says are Django's: whether one is, is told when it is prepared.
    """

    def __init__(self, addresses: Mapping[str, Address], meant: Collection[str]) -> None:
        self._ours = Ours(addresses)
        self._meant = frozenset(meant)

    def resources(self, item: pytest.Item) -> set[str]:
        """The resources that Django's databases lead to, if the test uses Django's databases."""
        if not _in_use() or not _uses_database(item):
            return set()
        from django.db import connections

        found = {self._ours.resource(connections[alias].settings_dict) for alias in connections} - {""}
        return found | self._meant

    def takes(self, item: pytest.Item) -> tuple[str, ...]:
        """Fixtures of wider scope that pytest-django asks for only when the test is running, as for its marker."""
        return ("django_db_setup",) if item.get_closest_marker("django_db") is not None else ()

    def encloses(self, item: pytest.Item) -> bool:
        """Whether the test is of a TestCase class, whose transaction is begun before its first test."""
        kind = getattr(item, "cls", None)
        if not isinstance(kind, type) or not _in_use():
            return False
        from django.test import TestCase

        return issubclass(kind, TestCase)

    def goes_on(self, item: pytest.Item, following: pytest.Item | None) -> bool:
        """Whether the transaction of a TestCase class, which holds its setUpTestData, goes on in the next test."""
        return following is not None and self.encloses(item) and item.cls is getattr(following, "cls", None)  # type: ignore[attr-defined]  # it has one


def _in_use() -> bool:
    django = sys.modules.get("django.apps")
    return django is not None and bool(django.apps.ready)


def _uses_database(item: pytest.Item) -> bool:
    from django.test import TransactionTestCase

    kind = getattr(item, "cls", None)
    if isinstance(kind, type) and issubclass(kind, TransactionTestCase):
        return True
    fixtures = getattr(item, "fixturenames", ())
    return item.get_closest_marker("django_db") is not None or not {"django_db_setup", "live_server"}.isdisjoint(
        fixtures
    )
