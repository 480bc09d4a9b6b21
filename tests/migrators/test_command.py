"""A step that is a command: run without a shell, in the project's root, with the exported environment."""

from __future__ import annotations

import sys

import pytest

from seatrial.errors import ConfigError, TemplateError
from seatrial.migrators.command import Command

from .conftest import Bench

SCRIPT = """
import os, sqlite3
connection = sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("sqlite:///"))
connection.execute("CREATE TABLE made (folder)")
connection.execute("INSERT INTO made VALUES (?)", (os.getcwd(),))
connection.commit()
"""


def test_it_finds_the_database_by_the_exported_url(sqlite: Bench) -> None:
    sqlite.write({"migrate.py": SCRIPT})
    step = sqlite.step("python migrate.py")
    assert isinstance(step, Command)
    assert sqlite.build(step)("select folder from made") == [(str(sqlite.root),)]


def test_with_inputs_its_hash_is_their_content(sqlite: Bench) -> None:
    sqlite.write({"migrate.py": SCRIPT, "sql/1.sql": "a"})
    sqlite.inputs = ("migrate.py", "sql/*")
    first = sqlite.hash("python migrate.py")
    assert sqlite.hash("python migrate.py") == first
    sqlite.write({"sql/1.sql": "b"})
    assert sqlite.hash("python migrate.py") != first
    assert sqlite.notes == []


def test_without_inputs_it_runs_again_in_each_run_and_says_so(sqlite: Bench) -> None:
    sqlite.run = "one"
    first = sqlite.hash("python migrate.py")
    assert sqlite.hash("python migrate.py") == first, "all workers of a run share one template"
    sqlite.run = "two"
    assert sqlite.hash("python migrate.py") != first
    assert "runs again in each run" in sqlite.notes[0]


@pytest.mark.parametrize("glob", ["sql/**", "sql/**/*", "sql/deep/*"])
def test_inputs_name_a_whole_folder_and_nothing_that_python_leaves_there(sqlite: Bench, glob: str) -> None:
    sqlite.write({"sql/deep/1.sql": "a"})
    sqlite.inputs = (glob,)
    first = sqlite.hash("python migrate.py")
    sqlite.write({"sql/deep/__pycache__/make.pyc": "x", "sql/deep/left.pyc": "x"})
    assert sqlite.hash("python migrate.py") == first
    sqlite.write({"sql/deep/1.sql": "b"})
    assert sqlite.hash("python migrate.py") != first


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("schema.sql", {"schema.sql": ""}),
        ("alembic.ini", {"alembic.ini": "[alembic]\nscript_location = m\n", "m/versions/1.py": ""}),
    ],
)
def test_inputs_count_for_every_step(sqlite: Bench, schema: str, files: dict[str, str]) -> None:
    """An Alembic migration, say, may read SQL from beside its folder."""
    sqlite.write({**files, "sql/functions.sql": "1"})
    sqlite.inputs = ("sql/*.sql",)
    first = sqlite.hash(schema)
    assert sqlite.hash(schema) == first
    sqlite.write({"sql/functions.sql": "2"})
    assert sqlite.hash(schema) != first


@pytest.mark.parametrize("glob", ["/etc/*", "a/**b/../../**", "", "."])
def test_inputs_that_are_no_glob_of_the_project_are_told(sqlite: Bench, glob: str) -> None:
    sqlite.inputs = (glob,)
    with pytest.raises(ConfigError, match=r"^inputs: "):
        sqlite.hash("python migrate.py")


def test_inputs_that_match_nothing_are_told(sqlite: Bench) -> None:
    sqlite.inputs = ("nowhere/*",)
    with pytest.raises(ConfigError, match='"nowhere/\\*" matches no file'):
        sqlite.hash("python migrate.py")


def test_all_of_its_output_is_in_the_error_or_both_ends_of_a_long_one(sqlite: Bench) -> None:
    sqlite.write({"fail.py": "print(*range(60), sep='\\n')\nraise SystemExit(1)"})
    with pytest.raises(TemplateError) as error:
        sqlite.build(sqlite.step("python fail.py"))
    assert error.value.cause == "\n".join(map(str, range(60)))
    sqlite.write(
        {"fail.py": "import sys\nprint(*range(200), sep='\\n')\nsys.exit('it broke: postgres://u:secret@h/d')"}
    )
    with pytest.raises(TemplateError, match="failed with status 1") as error:
        sqlite.build(sqlite.step("python fail.py"))
    assert "199\nit broke: postgres://u:***@h/d" in error.value.cause
    assert error.value.cause.startswith("0\n1\n2\n")  # where Node says what went wrong
    assert "\n49\n... (101 lines)\n151\n" in error.value.cause
    assert error.value.fix == "mend the command, or what it runs"


def test_a_variable_that_it_misses_is_led_to_env(sqlite: Bench) -> None:
    sqlite.write({"fail.py": "import os\nos.environ['NOT_EXPORTED']"})
    with pytest.raises(TemplateError) as error:
        sqlite.build(sqlite.step("python fail.py"))
    assert 'write env = "NOT_EXPORTED" in its table' in error.value.fix


def test_a_program_of_the_projects_node_modules_is_found(sqlite: Bench) -> None:
    sqlite.write({"node_modules/.bin/prisma": f"#!{sys.executable}\n{SCRIPT}"})
    (sqlite.root / "node_modules/.bin/prisma").chmod(0o755)
    assert sqlite.tables(sqlite.step("prisma migrate deploy")) == {"made"}


@pytest.mark.parametrize("text", ["a && b", "cat x | psql", "psql < dump.sql", "make db > log", "a; b"[:1] + " ; b"])
def test_what_needs_a_shell_is_told_how_to_get_one(sqlite: Bench, text: str) -> None:
    with pytest.raises(ConfigError, match="needs a shell") as error:
        sqlite.step(text)
    assert "sh -c" in error.value.fix


def test_a_shell_can_be_asked_for(sqlite: Bench) -> None:
    sqlite.write({"migrate.py": SCRIPT})
    assert sqlite.tables(sqlite.step("sh -c 'true && python migrate.py'")) == {"made"}


def test_a_variable_before_the_program_is_told(sqlite: Bench) -> None:
    with pytest.raises(ConfigError) as error:
        sqlite.step("DEBUG=1 python migrate.py")
    assert error.value.fix == 'write "env DEBUG=1 python migrate.py"'


def test_an_open_quotation_is_told(sqlite: Bench) -> None:
    with pytest.raises(ConfigError, match="No closing quotation"):
        sqlite.step("python 'migrate.py")


def test_a_program_that_went_away_is_told(sqlite: Bench) -> None:
    step = Command("gone-program now", root=sqlite.root, variables=lambda _: {}, note=sqlite.notes.append)
    with pytest.raises(ConfigError, match="there is no program gone-program"):
        sqlite.build(step)
