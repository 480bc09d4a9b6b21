"""What failed after the last test is told once, whoever met it."""

from __future__ import annotations

from seatrial.errors import AppError
from seatrial.report.endings import Endings


def test_an_error_is_told_with_those_that_it_came_on_top_of_and_each_once():
    endings = Endings()
    try:
        try:
            raise AppError("The app did not stop.")
        finally:
            raise AppError("The service did not stop.")
    except AppError as error:
        endings.add(error)
        endings.load([str(error)])
    assert endings.texts == ["The app did not stop.", "The service did not stop."]
