"""A schema from SQLAlchemy: every model of the app is there, whether or not somebody had imported it."""

from __future__ import annotations

import subprocess
import sys
import uuid

import pytest

from seatrial.errors import AppError, ConfigError, TemplateError

from .conftest import Bench

DATABASE = """
    import os
    from sqlalchemy import MetaData, create_engine
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase):
        pass
"""
USER = """
    from sqlalchemy.orm import Mapped, mapped_column
    from {package}database import Base

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(index=True, unique=True)
"""


@pytest.fixture
def app() -> str:
    """A package name of the test's own: SQLAlchemy's registries outlive a module."""
    return f"app_{uuid.uuid4().hex[:8]}"


def test_models_that_nobody_imported_are_in_the_template(bench: Bench, app: str) -> None:
    bench.write(
        {
            f"{app}/__init__.py": "",
            f"{app}/database.py": DATABASE,
            f"{app}/models/__init__.py": "",
            f"{app}/models/user.py": USER.format(package=".."),
            f"{app}/shop/order.py": f"""
                from sqlalchemy import ForeignKey
                from sqlalchemy.orm import Mapped, mapped_column
                from {app}.database import Base

                class Order(Base):
                    __tablename__ = "orders"
                    id: Mapped[int] = mapped_column(primary_key=True)
                    user: Mapped[int] = mapped_column(ForeignKey("users.id"))
            """,
        }
    )
    assert bench.tables(bench.step(f"{app}.database:Base")) == {"users", "orders"}
    assert bench.notes == []


def test_tests_scripts_and_migrations_are_not_imported(sqlite: Bench, app: str) -> None:
    trap = f"from {app}.database import Base\nclass Trap(Base): __tablename__ = 'trap'\nraise SystemExit('imported')\n"
    places = ("tests/models.py", "migrations/env.py", "test_models.py", "conftest.py", "__main__.py")
    sqlite.write({f"{app}/__init__.py": "", f"{app}/database.py": DATABASE})
    sqlite.write({f"{app}/user.py": USER.format(package=f"{app}.")})
    sqlite.write({f"{app}/{place}": trap for place in places} | {"scripts/load.py": trap, "setup.py": trap})
    assert sqlite.tables(sqlite.step(f"{app}.database:Base")) == {"users"}
    assert sqlite.notes == []


def test_a_module_that_fails_to_import_is_noted_and_the_rest_is_there(sqlite: Bench, app: str) -> None:
    sqlite.write({f"{app}/__init__.py": "", f"{app}/database.py": DATABASE})
    sqlite.write({f"{app}/user.py": USER.format(package=f"{app}.")})
    sqlite.write({f"{app}/broken.py": f"from {app}.database import Base\nimport nowhere_at_all\nclass A: pass\n"})
    url = "raise ValueError('no postgresql://app:geheim@h/x')"
    sqlite.write({f"{app}/refused.py": f"from {app}.database import Base\n{url}\nclass A: pass\n"})
    assert sqlite.tables(sqlite.step(f"{app}.database:Base")) == {"users"}
    assert len(sqlite.notes) == 2
    assert f"{app}.broken was not imported" in sqlite.notes[0]
    assert "nowhere_at_all" in sqlite.notes[0]
    assert "ValueError: no postgresql://app:***@h/x" in sqlite.notes[1]


def test_a_project_of_single_files_and_one_with_src_work(sqlite: Bench, app: str) -> None:
    sqlite.write({f"{app}.py": DATABASE, f"{app}_models.py": USER.format(package="").replace("database", app)})
    assert sqlite.tables(sqlite.step(f"{app}:Base")) == {"users"}


def test_a_package_below_src_works(sqlite: Bench, app: str) -> None:
    sqlite.write({f"src/{app}/__init__.py": "", f"src/{app}/database.py": DATABASE})
    sqlite.write({f"src/{app}/user.py": USER.format(package=f"{app}.")})
    assert sqlite.tables(sqlite.step(f"{app}.database:Base")) == {"users"}


@pytest.mark.parametrize("folder", ["backend", "src"])
def test_models_are_found_where_pytest_s_pythonpath_has_them(
    sqlite: Bench, app: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(sqlite.root / "services" / folder)
    inside = f"services/{folder}/{app}"
    sqlite.write({f"{inside}/database.py": DATABASE, f"{inside}/models/user.py": USER.format(package="..")})
    assert sqlite.tables(sqlite.step(f"{app}.database:Base")) == {"users"}
    assert sqlite.notes == []


def test_sqlmodel_and_a_bare_metadata_work(sqlite: Bench, app: str) -> None:
    sqlite.write(
        {
            f"{app}/__init__.py": "",
            f"{app}/db.py": "from sqlmodel import SQLModel\n",
            f"{app}/hero.py": f"""
                from sqlmodel import Field, SQLModel

                class Hero(SQLModel, table=True):
                    __tablename__ = "{app}_hero"
                    id: int | None = Field(default=None, primary_key=True)
            """,
            f"{app}/tables.py": "from sqlalchemy import MetaData\nmetadata = MetaData()\n",
            f"{app}/core.py": f"""
                from sqlalchemy import Column, Integer, Table
                from {app}.tables import metadata

                things = Table("things", metadata, Column("id", Integer, primary_key=True))
            """,
        }
    )
    assert f"{app}_hero" in sqlite.tables(sqlite.step(f"{app}.db:SQLModel"))
    assert sqlite.tables(sqlite.step(f"{app}.tables:metadata")) == {"things"}


def test_types_named_schemas_and_listeners_reach_postgresql(postgres: Bench, app: str) -> None:
    postgres.write(
        {
            f"{app}.py": """
                import enum
                from sqlalchemy import DDL, event, text
                from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

                class Base(DeclarativeBase):
                    pass

                class Colour(enum.Enum):
                    red = 1

                class Thing(Base):
                    __tablename__ = "things"
                    __table_args__ = {"schema": "inventory"}
                    id: Mapped[int] = mapped_column(primary_key=True)
                    colour: Mapped[Colour]

                view = DDL("CREATE VIEW seen AS SELECT id FROM inventory.things")
                event.listen(Thing.__table__, "after_create", view)

                @event.listens_for(Thing.__table__, "after_create")
                def first(target, connection, **_):
                    connection.execute(text("INSERT INTO inventory.things VALUES (7, 'red')"))
            """
        }
    )
    assert postgres.build(postgres.step(f"{app}:Base"))("select id from seen") == [(7,)]


def test_what_a_mapper_adds_when_it_is_configured_is_created(sqlite: Bench, app: str) -> None:
    """create_all before configure_mappers() would miss it."""
    sqlite.write(
        {
            f"{app}.py": """
                from sqlalchemy import Column, Integer, Table, event
                from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, mapped_column

                class Base(DeclarativeBase):
                    pass

                class Thing(Base):
                    __tablename__ = "things"
                    id: Mapped[int] = mapped_column(primary_key=True)

                @event.listens_for(Mapper, "before_configured", once=True)
                def add():
                    Table("history", Base.metadata, Column("id", Integer, primary_key=True))
            """
        }
    )
    assert sqlite.tables(sqlite.step(f"{app}:Base")) == {"things", "history"}


HASH = """
import sys
from pathlib import Path
from seatrial.migrators.choose import Setting, choose
drivers = {"sync": "psycopg" if sys.argv[2] == "postgresql" else "pysqlite"}
print(choose(sys.argv[3], Setting(root=Path(sys.argv[1]), scheme=sys.argv[2], drivers=drivers), key="schema").hash())
"""


def hash_of(bench: Bench, reference: str, seed: int = 0) -> str:
    """In a process of its own, as each worker has it."""
    argv = [sys.executable, "-c", HASH, str(bench.root), bench.scheme, reference]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": str(seed)})
    return done.stdout.strip()


def test_the_hash_is_that_of_the_ddl(bench: Bench, app: str) -> None:
    model = USER.format(package=f"{app}.")
    bench.write({f"{app}/__init__.py": "", f"{app}/database.py": DATABASE, f"{app}/user.py": model})
    first = hash_of(bench, f"{app}.database:Base", 1)
    assert hash_of(bench, f"{app}.database:Base", 2) == first
    bench.write({f"{app}/user.py": model + "    # a comment\n    def greet(self): return 1\n"})
    assert hash_of(bench, f"{app}.database:Base") == first
    bench.write({f"{app}/user.py": model.replace("index=True, ", "")})
    assert hash_of(bench, f"{app}.database:Base") != first


def test_a_listener_that_asks_the_database_makes_the_source_the_hash(sqlite: Bench, app: str) -> None:
    source = (
        DATABASE
        + """
    from sqlalchemy import Column, Integer, Table, event, text

    things = Table("things", Base.metadata, Column("id", Integer, primary_key=True))

    @event.listens_for(things, "after_create")
    def look(target, connection, **_):
        assert connection.scalar(text("SELECT count(*) FROM things")) == 0
    """
    )
    sqlite.write({f"{app}.py": source})
    first = hash_of(sqlite, f"{app}:Base")
    assert hash_of(sqlite, f"{app}:Base") == first
    sqlite.write({f"{app}.py": source + "\n    extra = 1\n"})
    assert hash_of(sqlite, f"{app}:Base") != first
    assert sqlite.tables(sqlite.step(f"{app}:Base")) == {"things"}


def test_a_schema_with_no_tables_is_an_error_in_three_parts(sqlite: Bench, app: str) -> None:
    sqlite.write({f"{app}.py": DATABASE})
    with pytest.raises(TemplateError, match="has no tables") as error:
        sqlite.step(f"{app}:Base").hash()
    assert "defines a model" in error.value.cause
    assert "are the models imported?" in error.value.fix


def test_what_is_no_base_is_told(sqlite: Bench, app: str) -> None:
    sqlite.write({f"{app}.py": "Base = 7"})
    with pytest.raises(ConfigError, match="it is a int"):
        sqlite.step(f"{app}:Base").hash()


def test_the_apps_own_error_is_shown(sqlite: Bench, app: str) -> None:
    sqlite.write({f"{app}.py": "def read():\n    raise KeyError('SETTING')\nread()\n"})
    with pytest.raises(AppError) as error:
        sqlite.step(f"{app}:Base").hash()
    assert "KeyError: 'SETTING'" in error.value.cause


def test_models_that_do_not_fit_together_are_told(sqlite: Bench, app: str) -> None:
    sqlite.write(
        {
            f"{app}.py": DATABASE
            + """
    from sqlalchemy.orm import Mapped, mapped_column, relationship

    class A(Base):
        __tablename__ = "a"
        id: Mapped[int] = mapped_column(primary_key=True)
        other = relationship("Missing")
    """
        }
    )
    import importlib

    with pytest.raises(TemplateError, match="do not fit together") as error:
        sqlite.step(f"{app}:Base").hash()
    assert "Missing" in error.value.cause
    importlib.import_module(app).Base.registry.dispose()


def test_a_table_that_the_server_refuses_is_told_with_its_words(postgres: Bench, app: str) -> None:
    postgres.write(
        {
            f"{app}.py": """
                from sqlalchemy import Column, Integer, MetaData, Table, text
                metadata = MetaData()
                Table("t", metadata, Column("id", Integer, server_default=text("no_such_function()")))
            """
        }
    )
    with pytest.raises(TemplateError, match="could not be created") as error:
        postgres.build(postgres.step(f"{app}:metadata"))
    assert "no_such_function" in error.value.cause
