"""Several workers (pytest-xdist): an address can be held by one of them only."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from seatrial.config.model import Config


def has_workers(config: pytest.Config) -> bool:
    """Whether this process runs no test itself, but has workers that do; with `--tx` alone, say, there are none."""
    option = config.option
    distributes = getattr(option, "dist", "no") != "no" and bool(getattr(option, "tx", None))
    return distributes and not option.collectonly and not hasattr(config, "workerinput")


def _count(specifications: Iterable[str]) -> int:
    """How many workers these are: "popen" is one, "2*popen" are two."""
    numbers = (each.partition("*")[0] for each in specifications)
    return sum(int(number) if number.isdecimal() else 1 for number in numbers)


def refuse_shared_address(config: pytest.Config, settings: Config) -> None:
    """Refuse several workers for a resource with `at`: nobody can tell which tests connect to a fixed address.

    Raises:
        pytest.UsageError: naming the resource, and what to type.
    """
    if not has_workers(config) or (count := _count(config.option.tx)) == 1:
        return
    for resource in settings.resources:
        if resource.at:
            raise pytest.UsageError(
                f"seatrial: the resource {resource.name} has an address of its own (`at`), "
                f"and {count} workers are to run the tests\n"
                "  why: only one worker can hold an address, and any test may connect to it\n"
                "  fix: run without -n (or --tx), or remove `at` and let the tests read the exported URL"
            )
