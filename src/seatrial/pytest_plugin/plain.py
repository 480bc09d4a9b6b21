"""Our own errors as a test's failure: they say all that there is to say, without a traceback through our code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from seatrial.errors import SeatrialError


@contextmanager
def plain_errors(tell: Callable[[SeatrialError], str] = str) -> Iterator[None]:
    """Fail the test with the words of an error of ours that is raised inside."""
    try:
        yield
    except SeatrialError as error:
        failure = pytest.fail.Exception(tell(error), pytrace=False)
        raise failure from None
