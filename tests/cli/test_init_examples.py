"""`seatrial init` proposes for each example what its configuration says, from its files alone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WANTED = {
    "fastapi_async": {
        "app": "bookings.main:app",
        "kind": "postgres",
        "schema": "alembic.ini",
        "override": "bookings.database:get_session",
    },
    "flask_todos": {"app": "todos.app:create_app()", "kind": "postgres", "schema": "todos.models:db"},
    "django_library": {"kind": "postgres", "schema": "django"},
    "litestar_tickets": {"app": "tickets.app:app", "kind": "postgres", "schema": "schema.sql"},
}


@pytest.mark.parametrize("name", WANTED)
def test_an_example_is_recognised(name, shape):
    shutil.copytree(EXAMPLES / name, shape.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    config = shape.folder / "pyproject.toml"
    config.write_text(re.sub(r"\[tool\.seatrial.*", "", config.read_text(), flags=re.DOTALL))
    found = shape.values()
    assert {key: value for key, value in found.items() if key != "env"} == WANTED[name]
