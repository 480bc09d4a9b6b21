"""What `make test` leaves to the night is there: a list that names nothing leaves nothing out, and nobody notices."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.conftest import by_night


@pytest.mark.parametrize("test", by_night())
def test_each_test_on_the_list_exists(root: Path, test: str) -> None:
    file, _, name = test.partition("::")
    tree = ast.parse((root / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
