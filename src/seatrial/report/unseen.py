"""A test that was refused by a resource which nobody saw that it needs: what to write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from seatrial.errors import ConfigError, SeatrialError


def unseen(error: BaseException, ports: Mapping[str, int]) -> str:
    """What to tell with a failure that names one of the `ports`; empty where it names none, or we said it.

    Args:
        error: what the test, or one of its fixtures, has raised.
        ports: of the resources that were not started, by their names.
    """
    raised = list(chain(error))
    if any(isinstance(each, SeatrialError) for each in raised):
        return ""  # it was seen that it is needed, and it could not be had
    said = {number for each in raised for number in re.findall(r"\b\d{4,5}\b", str(each))}
    names = [name for name, port in ports.items() if str(port) in said]
    if not names:
        return ""
    return str(
        ConfigError(
            f"{', '.join(names)} was not started: no test was seen to need it",
            cause="the tests ask for no fixture of ours, and neither they nor their fixtures import the app themselves",
            fix=f'name the app in the configuration and use `client`, or write usefixtures = "{names[0]}_url" in '
            "pytest's own configuration",
        )
    )


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what led to it, and the parts of a group; each once."""
    known: set[int] = set()
    ahead = [error]
    while ahead:
        each = ahead.pop(0)
        if id(each) in known:
            continue
        known.add(id(each))
        yield each
        parts = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        ahead.extend(other for other in (each.__cause__, each.__context__, *parts) if other is not None)
