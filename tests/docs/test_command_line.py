"""The reference of the command line is complete: every command, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seatrial.cli.main import COMMANDS
from seatrial.pytest_plugin import pytest_addoption

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"


def test_every_command_is_documented_and_no_other():
    assert set(re.findall(r"^## `seatrial ([\w-]+)`$", PAGE.read_text(), re.MULTILINE)) == set(COMMANDS)


def test_every_option_of_pytest_is_documented_and_no_other():
    parser = pytest.Parser(_ispytest=True)
    pytest_addoption(parser)
    options = {name for group in parser._groups for option in group.options for name in option.names()}
    assert set(re.findall(r"^\| `(--[\w-]+)", PAGE.read_text(), re.MULTILINE)) == options
