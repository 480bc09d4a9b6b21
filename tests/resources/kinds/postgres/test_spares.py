"""Clones are made ready in the background, and nobody hears of it where that can't be done."""

from __future__ import annotations

import pytest

from seatrial.errors import ServerLost
from seatrial.resources.kinds.postgres.reset.spares import Spares


class Gone:
    """The databases of a server that was killed."""

    def create(self, *_: object) -> None:
        raise ServerLost("it is gone", cause="it was killed", fix="nothing")


def lost() -> object:
    raise ServerLost("it is gone", cause="it was killed", fix="nothing")


@pytest.mark.parametrize("connect", [lost, lambda: (Gone(), lambda: None)], ids=["at once", "later"])
def test_where_the_server_is_gone_there_are_no_spares_and_the_thread_ends_without_a_word(connect):
    """pytest turns what a thread raises into a failure of the running test: somebody else's, most of the time."""
    spares = Spares("key", "template", "run", connect)
    spares.order()
    spares.close()
    assert spares.take() is None
