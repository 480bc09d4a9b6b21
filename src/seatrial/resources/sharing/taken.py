"""A name that another run of the same project has."""

from __future__ import annotations

from seatrial.errors import IsolationError


def taken(what: str) -> IsolationError:
    """The error for whoever asks for `what`, as in 'copy "shop"', while another run is using it."""
    return IsolationError(
        f"another run of this project is using the {what}",
        cause="two runs at once take different names, except where `at` fixes one",
        fix="wait for the other run to end; files of node:test are such runs: --test-concurrency=1",
    )
