"""A schema from Alembic: a real `upgrade heads`, its own error where it fails, and a hash of all that made it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from seatrial.errors import ConfigError, TemplateError

from .conftest import Bench

ENV = """
    from alembic import context
    from sqlalchemy import engine_from_config, pool

    engine = engine_from_config(context.config.get_section("alembic"), prefix="sqlalchemy.", poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
ASYNC_ENV = """
    import asyncio
    from alembic import context
    from sqlalchemy.ext.asyncio import async_engine_from_config

    def run(connection):
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()

    async def main():
        engine = async_engine_from_config(context.config.get_section("alembic"), prefix="sqlalchemy.")
        async with engine.begin() as connection:
            await connection.run_sync(run)
        await engine.dispose()

    asyncio.run(main())
"""
VERSION = """
    import sqlalchemy as sa
    from alembic import op

    revision = "{revision}"
    down_revision = {down}

    def upgrade():
        {body}
"""


def version(revision: str, down: str | None, body: str) -> str:
    return VERSION.format(revision=revision, down=repr(down), body=body)


CREATE = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True))'


@pytest.fixture
def project(bench: Bench) -> Bench:
    return bench.write(
        {
            "alembic.ini": "[alembic]\nscript_location = %(here)s/alembic\nsqlalchemy.url = driver://user:pass@host/db\n",
            "alembic/__init__.py": "raise SystemExit('this is no library')",
            "alembic/env.py": ENV,
            "alembic/versions/1_users.py": version("1", None, CREATE),
            "alembic/versions/2_left.py": version("2", "1", 'op.execute("INSERT INTO users VALUES (1)")'),
            "alembic/versions/3_right.py": version("3", "1", 'op.execute("INSERT INTO users VALUES (2)")'),
        }
    )


def test_all_heads_are_upgraded(project: Bench) -> None:
    assert project.build(project.step("alembic.ini"))("select id from users order by id") == [(1,), (2,)]


def test_the_driver_that_the_ini_names_is_kept(bench: Bench) -> None:
    url = f"{bench.scheme}+{bench.kind.drivers['async']}://user:pass@host/db"
    bench.write(
        {
            "alembic.ini": f"[alembic]\nscript_location = migrations\nsqlalchemy.url = {url}\n",
            "migrations/env.py": ASYNC_ENV,
            "migrations/versions/1.py": version("1", None, CREATE),
        }
    )
    assert bench.tables(bench.step("alembic.ini")) == {"users", "alembic_version"}


def test_an_env_that_reads_the_exported_url_works(bench: Bench) -> None:
    env = ENV.replace("from sqlalchemy import", "import os\n    from sqlalchemy import create_engine,").replace(
        'engine_from_config(context.config.get_section("alembic"), prefix="sqlalchemy.", poolclass=pool.NullPool)',
        'create_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:"))',
    )
    bench.write({"alembic.ini": "[alembic]\nscript_location = migrations\n", "migrations/env.py": env})
    bench.write({"migrations/versions/1.py": version("1", None, CREATE)})
    assert bench.tables(bench.step("alembic.ini")) == {"users", "alembic_version"}


def test_a_failing_migration_shows_alembics_own_error(project: Bench) -> None:
    project.write({"alembic/versions/4.py": version("4", "2", 'op.execute("INSERT INTO nowhere VALUES (1)")')})
    with pytest.raises(TemplateError, match=r"the migrations of alembic\.ini failed") as error:
        project.build(project.step("alembic.ini"))
    assert "nowhere" in error.value.cause
    assert "versions/4.py" in error.value.cause, "the project's own lines are shown, and no library's"
    assert "site-packages" not in error.value.cause
    assert "seatrial run" not in error.value.fix, "that prepares the template first, and would fail as this did"


def test_a_variable_that_env_py_misses_is_led_to_env(project: Bench) -> None:
    project.write({"alembic/env.py": "import os\nos.environ['NOT_EXPORTED']"})
    with pytest.raises(TemplateError) as error:
        project.build(project.step("alembic.ini"))
    assert "alembic/env.py" in error.value.cause
    assert 'if NOT_EXPORTED is the address of a resource, write env = "NOT_EXPORTED"' in error.value.fix


def test_a_missing_revision_is_told_in_a_line(project: Bench) -> None:
    project.write({"alembic/versions/4.py": version("4", "lost", "pass")})
    with pytest.raises(TemplateError) as error:
        project.build(project.step("alembic.ini"))
    assert "lost" in error.value.cause


def test_the_password_is_never_shown(postgres: Bench) -> None:
    postgres.write({"alembic.ini": "[alembic]\nscript_location = m\n", "m/versions/1.py": version("1", None, "pass")})
    postgres.write(
        {"m/env.py": "from alembic import context\nraise ValueError(context.config.get_main_option('sqlalchemy.url'))"}
    )
    with pytest.raises(TemplateError) as error:
        postgres.build(postgres.step("alembic.ini"))
    assert "***@" in error.value.cause


def test_the_hash_changes_with_every_file_that_counts(sqlite: Bench) -> None:
    files = {
        "alembic.ini": "[alembic]\nscript_location = m\nversion_locations = m/versions, more\n",
        "m/env.py": ENV,
        "m/versions/1.py": "from shop.kinds import Kind\n" + version("1", None, CREATE).replace("\n    ", "\n"),
        "more/2.py": version("2", None, "pass"),
        "shop/__init__.py": "",
        "shop/kinds.py": "Kind = 1",
        "shop/unrelated.py": "",
    }
    sqlite.write(files)
    first = sqlite.step("alembic.ini").hash()
    (sqlite.root / "m" / "__pycache__").mkdir()
    (sqlite.root / "m" / "__pycache__" / "env.cpython-311.pyc").write_bytes(b"x")
    sqlite.write({"shop/unrelated.py": "x = 1"})
    assert sqlite.step("alembic.ini").hash() == first
    for name in ("alembic.ini", "m/env.py", "m/versions/1.py", "more/2.py", "shop/kinds.py"):
        path = sqlite.root / name
        before = path.read_text()
        path.write_text(f"{before}\n# changed\n")
        assert sqlite.step("alembic.ini").hash() != first, name
        path.write_text(before)
    assert sqlite.step("alembic.ini").hash() == first


def test_the_hash_changes_with_operations_that_env_py_brings_and_not_with_the_models(sqlite: Bench) -> None:
    sqlite.write(
        {
            "alembic.ini": "[alembic]\nscript_location = m\n",
            "m/env.py": f"from shop import models, operations\n{textwrap.dedent(ENV)}",
            "m/versions/1.py": version("1", None, CREATE),
            "shop/__init__.py": "",
            "shop/models.py": "",
            "shop/operations.py": "from alembic.operations import Operations\nfrom shop.views import VIEWS",
            "shop/views.py": "VIEWS = 1",
        }
    )
    first = sqlite.step("alembic.ini").hash()
    sqlite.write({"shop/models.py": "x = 1"})
    assert sqlite.step("alembic.ini").hash() == first
    for name in ("shop/operations.py", "shop/views.py"):
        before = (sqlite.root / name).read_text()
        sqlite.write({name: f"{before}\n# changed\n"})
        assert sqlite.step("alembic.ini").hash() != first, name
        sqlite.write({name: before})


def test_an_ini_in_a_folder_runs_there_where_its_locations_are_meant_from_there(sqlite: Bench) -> None:
    """As in a repository with a folder `backend`, in which everybody types `alembic upgrade head`."""
    kinds = "from shop.kinds import KIND\n" + textwrap.dedent(version("1", None, CREATE))
    sqlite.write(
        {
            "backend/alembic.ini": "[alembic]\nscript_location = m\nprepend_sys_path = .\n",
            "backend/m/env.py": ENV,
            "backend/m/versions/1.py": kinds,
            "backend/shop/kinds.py": "KIND = 1",
        }
    )
    step = sqlite.step("backend/alembic.ini")
    first = step.hash()
    assert sqlite.tables(step) == {"users", "alembic_version"}
    sqlite.write({"backend/shop/kinds.py": "KIND = 2"})
    assert step.hash() != first


def test_a_pyproject_can_hold_the_settings(sqlite: Bench) -> None:
    sqlite.write({"pyproject.toml": '[tool.alembic]\nscript_location = "%(here)s/m"\n', "m/env.py": ENV})
    sqlite.write({"m/versions/1.py": version("1", None, CREATE)})
    step = sqlite.step("pyproject.toml")
    assert step.hash()
    assert sqlite.tables(step) == {"users", "alembic_version"}


@pytest.mark.parametrize(
    ("ini", "told"),
    [
        ("[alembic]\nfile_template = x\n", "names no script_location"),
        ("[alembic]\nscript_location = missing\n", "there is no folder missing"),
        ("[other]\nx = 1\n", "no configuration of Alembic"),
    ],
)
def test_settings_that_lead_nowhere_are_told(sqlite: Bench, ini: str, told: str) -> None:
    sqlite.write({"alembic.ini": ini})
    with pytest.raises(ConfigError, match=told) as error:
        sqlite.step("alembic.ini").hash()
    assert error.value.fix


def test_a_location_that_is_not_there_is_told_with_where_it_was_looked_for(sqlite: Bench) -> None:
    ini = "[alembic]\nscript_location = m\nversion_locations = missing\n"
    sqlite.write({"backend/alembic.ini": ini, "backend/m/env.py": ENV})
    with pytest.raises(ConfigError, match="there is no folder missing") as error:
        sqlite.step("backend/alembic.ini").hash()
    assert error.value.cause == f"it was looked for in {sqlite.root / 'backend'}"


def test_a_location_inside_a_package_is_found(sqlite: Bench) -> None:
    sqlite.write({"alembic.ini": "[alembic]\nscript_location = shop:m\nprepend_sys_path = .\n", "shop/__init__.py": ""})
    sqlite.write({"shop/m/env.py": ENV, "shop/m/versions/1.py": version("1", None, CREATE)})
    step = sqlite.step("alembic.ini")
    first = step.hash()
    assert sqlite.tables(step) == {"users", "alembic_version"}
    Path(sqlite.root / "shop/m/versions/1.py").write_text("")
    assert step.hash() != first
