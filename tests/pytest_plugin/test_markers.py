"""What the markers of a test and of its class ask for together."""

from __future__ import annotations

import pytest

from seatrial.config.model import ISOLATIONS
from seatrial.pytest_plugin.markers import isolations

RESOURCES = ("db", "store")


@pytest.mark.seatrial(db="reset", store="rollback")
class TestMarkers:
    @pytest.mark.seatrial(db="clone")
    def test_the_nearest_one_wins_for_each_resource_by_itself(self, request: pytest.FixtureRequest) -> None:
        found = isolations(request.node, RESOURCES, ISOLATIONS, lambda _: {})
        assert found == {"db": "clone", "store": "rollback"}
