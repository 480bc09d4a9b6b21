"""The pytest plugin's front door: loaded by every project that has us installed, so it imports nothing of weight.

Without `[tool.seatrial]` it looks for the configuration once and does no more.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.pytest_plugin.plugin import SeatrialPlugin

_ACTIVE: pytest.StashKey[SeatrialPlugin] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our options; they do nothing in a project without our configuration."""
    group = parser.getgroup("seatrial", "Seatrial: integration tests on real dependencies")
    group.addoption(
        "--seatrial-set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the configuration for this run: --seatrial-set db.isolation=clone",
    )
    group.addoption(
        "--seatrial-keep",
        action="store_true",
        help="keep the database of each failed test (or, if none fails, of the last test) and print its URL",
    )
    group.addoption(
        "--seatrial-audit",
        action="store_true",
        help="compare each whole database with its baseline after each test; a difference fails the test that left it",
    )
    group.addoption(
        "--seatrial-explain",
        action="store_true",
        help="tell for each test how its copy was brought back to the baseline, why, and in how many milliseconds",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """Export the environment before any conftest, plugin settings or module of the project is imported."""
    from seatrial.config.find import find
    from seatrial.errors import SeatrialError

    try:
        found = find(early_config.rootpath)
        if found is not None:
            _open(early_config, found)
    except SeatrialError as error:
        raise pytest.UsageError(f"seatrial: {error}") from None
    return (yield)


def _open(config: pytest.Config, found: Path) -> None:
    from seatrial.core.importing import uncollected

    with uncollected():
        from seatrial.pytest_plugin.plugin import SeatrialPlugin

        config.stash[_ACTIVE] = SeatrialPlugin.open(config, found)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the plugin with its fixtures where the project is configured."""
    config.addinivalue_line(
        "markers",
        'seatrial(NAME="reset" | "rollback" | "clone" | "auto"): the isolation of a resource for this test',
    )
    plugin = config.stash.get(_ACTIVE, None)
    if plugin is not None:
        plugin.register(config)
