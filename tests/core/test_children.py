"""What only a shell understands is known by its words: an operator by itself, a variable before the program."""

from __future__ import annotations

import shlex

import pytest

from seatrial.core.children import for_a_shell


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("make db && make load", "operator"),
        ("cat x | psql", "operator"),
        ("psql < dump.sql", "operator"),
        ("serve 2>&1", "operator"),
        ("DEBUG=1 serve && stop", "operator"),
        ("DEBUG=1 serve", "variable"),
        ("env DEBUG=1 serve", ""),
        ("sh -c 'true && serve'", ""),
        ("serve --query a&b=c", ""),
        ("", ""),
    ],
)
def test_what_only_a_shell_understands_is_told_from_what_a_program_gets(line, asks):
    assert for_a_shell(shlex.split(line)) == asks
