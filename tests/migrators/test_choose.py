"""A string of `schema` or `seed` is understood, or the message says all that it might have meant."""

from __future__ import annotations

import pytest

from seatrial.errors import ConfigError

from .conftest import Bench


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("shema.sql", 'write schema = "schema.sql"'),
        ("db/schem.sql", 'write schema = "db/schema.sql"'),
        ("alembik.ini", 'write schema = "alembic.ini"'),
        ("other/alembic.ini", 'write schema = "alembic.ini"'),
        ("zzz.toml", "correct the path"),
    ],
)
def test_a_file_that_is_not_there_names_the_nearest(sqlite: Bench, text: str, fix: str) -> None:
    sqlite.write({"schema.sql": "", "db/schema.sql": "", "alembic.ini": ""})
    with pytest.raises(ConfigError, match="there is no such file") as error:
        sqlite.step(text)
    assert error.value.fix == fix


@pytest.mark.parametrize("text", ["app.database", "no-such-program migrate", "migrations/", ""])
def test_what_means_nothing_lists_what_was_tried(sqlite: Bench, text: str) -> None:
    with pytest.raises(ConfigError) as error:
        sqlite.step(text) if text else sqlite.step("   ")
    told = str(error.value)
    if text:
        assert "no file or folder" in told
        assert "app.database:Base" in told
        assert "command" in told


def test_a_folder_of_alembic_names_the_ini(sqlite: Bench) -> None:
    sqlite.write({"alembic/env.py": ""})
    with pytest.raises(ConfigError) as error:
        sqlite.step("alembic")
    assert error.value.fix == 'write schema = "alembic.ini"'


def test_a_schema_of_prisma_and_a_file_of_python_are_told_what_to_write(sqlite: Bench) -> None:
    sqlite.write({"prisma/schema.prisma": "", "tests/seed.py": ""})
    with pytest.raises(ConfigError) as error:
        sqlite.step("prisma/schema.prisma")
    assert "prisma/migrations" in error.value.fix
    with pytest.raises(ConfigError) as error:
        sqlite.step("tests/seed.py", key="seed")
    assert error.value.fix == 'name what is in it, as in "tests.seed:NAME", or run it: "python tests/seed.py"'
