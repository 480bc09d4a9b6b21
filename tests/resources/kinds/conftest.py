"""What the tests of all kinds share."""

from __future__ import annotations

import pytest
from tests.conftest import end_servers


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache of our own; its servers are ended afterwards."""
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_CACHE", str(path))
        patch.setenv("SEATRIAL_IDLE", "0.2")
        yield path
    end_servers(path)
