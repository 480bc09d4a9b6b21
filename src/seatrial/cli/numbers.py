"""Numbers on a command line: what is out of their range is told by the option, and not by what it breaks later."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

HIGHEST_PORT = 65535


def whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """A type of argparse: a whole number in this range."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise _refused(text, "a whole number", least, most) from None
        if not least <= number <= most:
            raise _refused(text, "a whole number", least, most)
        return number

    return parse


def amount(text: str) -> float:
    """A type of argparse: seconds, days or megabytes, from 0 on; `inf` is more than there is."""
    try:
        number = float(text)
    except ValueError:
        raise _refused(text, "a number", 0, math.inf) from None
    if not number >= 0:  # so is what is no number, NaN
        raise _refused(text, "a number", 0, math.inf)
    return number


def _refused(text: str, what: str, least: int, most: float) -> argparse.ArgumentTypeError:
    end = "on" if most == math.inf else f"to {most}"
    return argparse.ArgumentTypeError(f"{text} is not {what} from {least} {end}")
