"""`seatrial init` finds its way in projects of every common shape, without importing them."""

from __future__ import annotations

import sys

import pytest

FASTAPI_SYNC = {
    "pyproject.toml": '[project]\nname = "shop"\ndependencies = ["fastapi", "sqlalchemy", "psycopg2-binary"]\n',
    "Dockerfile": 'FROM python\nCMD ["uvicorn", "app.main:app", "--host", "0.0.0.0"]\n',
    "app/__init__.py": "",
    "app/database.py": """
        import os
        from collections.abc import Iterator
        from sqlalchemy import create_engine
        from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

        engine = create_engine(os.environ["DATABASE_URL"])
        SessionLocal = sessionmaker(bind=engine)

        class Base(DeclarativeBase):
            pass

        def get_db() -> Iterator[Session]:
            db = SessionLocal()
            try:
                yield db
            finally:
                db.close()
    """,
    "app/models.py": "from app.database import Base\nclass User(Base):\n    pass\nclass Item(Base):\n    pass\n",
    "app/main.py": """
        from fastapi import Depends, FastAPI
        from app.database import get_db

        app = FastAPI()

        @app.get("/")
        def index(db=Depends(get_db)):
            return []
    """,
}


def test_fastapi_with_sqlalchemy(shape):
    said = shape.files(FASTAPI_SYNC).init()
    assert said["text"] == (
        "[tool.seatrial]\n"
        'app = "app.main:app"\n'
        "\n"
        "[tool.seatrial.resources.db]\n"
        'kind = "postgres"\n'
        'schema = "app.database:Base"\n'
        'override = "app.database:get_db"\n'
    )
    places = {one["key"]: one["from"] for one in said["values"]}
    assert places["app"] == "app/main.py:4"
    assert places["resources.db.kind"] == "pyproject.toml:3"
    assert places["resources.db.schema"] == "app/database.py:9"
    assert places["resources.db.override"] == "app/database.py:12"
    reasons = " ".join(one["why"] for one in said["values"])
    assert "started as app.main:app in Dockerfile:2" in reasons
    assert "2 classes inherit from it" in reasons
    assert (said["missing"], said["others"]) == ([], {})


def test_the_same_on_mysql(shape):
    project = FASTAPI_SYNC["pyproject.toml"].replace("psycopg2-binary", "pymysql")
    said = shape.files({**FASTAPI_SYNC, "pyproject.toml": project}).init()
    assert 'kind = "mysql"\n' in said["text"]
    assert '"mysql+pymysql://{user}:{password}@{host}:{port}/{database}"' in said["text"]


def test_an_address_of_mariadb_in_the_settings_says_the_kind(shape):
    code = FASTAPI_SYNC["app/database.py"].replace(
        'os.environ["DATABASE_URL"]', 'os.environ.get("DATABASE_URL", "mariadb+pymysql://shop@db/shop")'
    )
    said = shape.files({**FASTAPI_SYNC, "app/database.py": code}).init()
    assert 'kind = "mariadb"\n' in said["text"]
    assert "mariadb+pymysql://{user}" in said["text"]


def test_the_async_driver_of_sqlite_stays_in_the_address(shape):
    said = shape.files(
        {
            "main.py": """
                import os
                from fastapi import FastAPI
                from sqlalchemy.ext.asyncio import create_async_engine
                engine = create_async_engine(os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///./app.db"))
                app = FastAPI()
            """
        }
    ).init()
    assert 'kind = "sqlite"\n' in said["text"]
    assert '"sqlite+aiosqlite:///{database}"' in said["text"]


@pytest.mark.parametrize(
    ("engine", "kind"), [("mysql", "mysql"), ("sqlite3", "sqlite"), ("postgresql_psycopg2", "postgres")]
)
def test_the_engine_of_django_says_the_kind(shape, engine, kind):
    shape.files(
        {
            "manage.py": "from django.core.management import execute_from_command_line\n",
            "requirements.txt": "django\n",
            "shop/settings.py": f'DATABASES = {{"default": {{"ENGINE": "django.db.backends.{engine}", "NAME": "shop"}}}}\n',
        }
    )
    assert f'kind = "{kind}"\n' in shape.init()["text"]


def test_a_dependency_that_gives_a_factory_of_sessions(shape):
    """rhoboro/async-fastapi-sqlalchemy has its endpoints make their sessions."""
    database = """
        from typing import AsyncIterator
        from sqlalchemy.ext.asyncio import async_sessionmaker

        async def get_session() -> AsyncIterator[async_sessionmaker]:
            yield AsyncSessionLocal
    """
    main = """
        from fastapi import Depends, FastAPI
        from app.database import get_session

        app = FastAPI()

        @app.get("/")
        async def index(make=Depends(get_session)):
            return []
    """
    said = shape.files(FASTAPI_SYNC | {"app/database.py": database, "app/main.py": main}).init()
    assert 'override = "app.database:get_session"\n' in said["text"]


def test_async_fastapi_with_pydantic_settings(shape):
    values = shape.files(
        {
            "requirements.txt": "fastapi\nasyncpg\n",
            "app/config.py": """
            from pydantic_settings import BaseSettings, SettingsConfigDict

            class Settings(BaseSettings):
                model_config = SettingsConfigDict(env_prefix="SHOP_")
                debug: bool = False
                database_url: str = "postgresql+asyncpg://shop:shop@localhost/shop"
        """,
            "app/db.py": """
            from collections.abc import AsyncIterator
            from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
            from app.config import Settings

            maker = async_sessionmaker(create_async_engine(Settings().database_url))

            async def get_session() -> AsyncIterator[AsyncSession]:
                async with maker() as session:
                    yield session
        """,
            "app/models.py": "from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n",
            "app/main.py": """
            from typing import Annotated
            from fastapi import Depends, FastAPI
            from sqlalchemy.ext.asyncio import AsyncSession
            from app.db import get_session

            app = FastAPI()
            Db = Annotated[AsyncSession, Depends(get_session)]
        """,
        }
    ).values()
    assert values == {
        "app": "app.main:app",
        "kind": "postgres",
        "schema": "app.models:Base",
        "override": "app.db:get_session",
        "env": {"SHOP_DATABASE_URL": "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}"},
    }


@pytest.mark.parametrize(
    ("driver", "prefix"), [("psycopg[binary]", "POSTGRES"), ("pymysql", "MYSQL"), ("pymysql", "DB"), ("psycopg", "DB")]
)
def test_the_address_in_parts(shape, driver, prefix):
    values = shape.files(
        {
            "backend/app/main.py": "from fastapi import FastAPI\nfrom app.core import settings\napp = FastAPI()\n",
            "backend/app/core.py": f"""
            from pydantic_settings import BaseSettings

            class Settings(BaseSettings):
                {prefix}_SERVER: str
                {prefix}_PORT: int = 5432
                {prefix}_USER: str
                {prefix}_PASSWORD: str = ""
                {prefix}_DATABASE: str = ""

            settings = Settings()
        """,
            "backend/requirements.txt": f"{driver}\n",
        }
    ).values()
    assert values["app"] == "app.main:app"
    assert values["env"] == {
        f"{prefix}_SERVER": "{host}",
        f"{prefix}_PORT": "{port}",
        f"{prefix}_USER": "{user}",
        f"{prefix}_PASSWORD": "{password}",
        f"{prefix}_DATABASE": "{database}",
    }


@pytest.mark.parametrize(("driver", "prefix"), [("psycopg", "MYSQL"), ("pymysql", "POSTGRES"), ("aiosqlite", "DB")])
def test_parts_of_the_address_of_another_server_are_left_alone(shape, driver, prefix):
    reads = "".join(f"os.environ['{prefix}_{part}']\n" for part in ("HOST", "PORT", "USER", "DATABASE"))
    url = "url = 'sqlite+aiosqlite:///shop.db'\n" if driver == "aiosqlite" else ""
    values = shape.files(
        {
            "app/main.py": f"import os\nfrom fastapi import FastAPI\n\n{url}{reads}app = FastAPI()\n",
            "requirements.txt": f"{driver}\n",
        }
    ).values()
    assert "env" not in values


def test_an_application_factory(shape):
    said = shape.files(
        {
            "shop/__init__.py": "",
            "shop/factory.py": """
            from fastapi import FastAPI

            def create_app(debug: bool = False) -> FastAPI:
                app = FastAPI(debug=debug)
                return app

            def create_worker(queue):
                return FastAPI()
        """,
        }
    ).init()
    (app,) = [one for one in said["values"] if one["key"] == "app"]
    assert (app["value"], app["why"]) == ("shop.factory:create_app()", "create_app() returns FastAPI")
    assert "app" not in said["others"]


def test_sqlmodel(shape):
    said = shape.files(
        {
            "pyproject.toml": '[project]\nname = "heroes"\ndependencies = [\n  "psycopg[binary]>=3",\n]\n',
            "app/main.py": """
            import os
            from fastapi import Depends, FastAPI
            from sqlmodel import Session, SQLModel, create_engine
            from app import models

            engine = create_engine(os.getenv("DB_URL", ""))
            app = FastAPI()

            def get_session():
                with Session(engine) as session:
                    yield session

            @app.get("/")
            def index(session: Session = Depends(get_session)): ...
        """,
            "app/models.py": """
            from sqlmodel import Field, SQLModel

            class HeroBase(SQLModel):
                name: str

            class Hero(HeroBase, table=True):
                id: int | None = Field(default=None, primary_key=True)
        """,
        }
    ).init()
    values = {one["key"].removeprefix("resources.db."): one["value"] for one in said["values"]}
    assert values == {
        "app": "app.main:app",
        "kind": "postgres",
        "schema": "app.models:SQLModel",
        "override": "app.main:get_session",
        "env": {"DB_URL": "postgresql+psycopg://{user}:{password}@{host}:{port}/{database}"},
    }


def test_flask_with_flask_sqlalchemy(shape):
    said = shape.files(
        {
            "requirements.txt": "flask\nflask-sqlalchemy\npsycopg2-binary==2.9.9\n",
            "shop/__init__.py": """
            import os
            from flask import Flask
            from flask_sqlalchemy import SQLAlchemy

            db = SQLAlchemy()

            def create_app():
                app = Flask(__name__)
                app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("DATABASE_URL")
                db.init_app(app)
                return app
        """,
            "shop/models.py": "from shop import db\nclass User(db.Model):\n    pass\n",
            "wsgi.py": "from shop import create_app\napp = create_app()\n",
            "Procfile": "web: gunicorn wsgi:app\n",
        }
    ).init()
    values = {one["key"].removeprefix("resources.db."): one["value"] for one in said["values"]}
    assert values == {"app": "wsgi:app", "kind": "postgres", "schema": "shop:db"}
    assert said["missing"] == []
    assert [one["value"] for one in said["others"]["app"]] == ["shop:create_app()"]
    assert any("SQLALCHEMY_DATABASE_URI" in one["text"] for one in said["notes"])


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("migrations", "flask --app wsgi:app db upgrade"),
        ("shop/alembic", "flask --app wsgi:app db upgrade -d shop/alembic"),
    ],
)
def test_flask_migrates_migrations_are_not_passed_over_without_a_word(shape, folder, command):
    notes = shape.files(
        {
            "requirements.txt": "flask\nflask-sqlalchemy\nflask-migrate\npsycopg2-binary==2.9.9\n",
            "wsgi.py": "from flask import Flask\nfrom models import db\napp = Flask(__name__)\ndb.init_app(app)\n",
            "models.py": """
            from flask_sqlalchemy import SQLAlchemy

            db = SQLAlchemy()

            class User(db.Model):
                id = db.Column(db.Integer, primary_key=True)
        """,
            "schema.sql": "create table users ();\n",
            f"{folder}/alembic.ini": "[alembic]\n",
            f"{folder}/env.py": "from flask import current_app\n",
            f"{folder}/versions/0001_x.py": 'revision = "0001"\n',
        }
    ).init()["notes"]
    [note] = [one["text"] for one in notes if "Flask-Migrate" in one["text"]]
    assert f'schema = ["{command}", "models:db"]' in note
    assert f'inputs = ["{folder}/**/*.py"]' in note


def test_litestar(shape):
    values = shape.files(
        {
            "requirements.txt": "litestar\nasyncpg\n",
            "app.py": """
            import os
            from litestar import Litestar
            from sqlalchemy.ext.asyncio import create_async_engine

            engine = create_async_engine(os.environ["DATABASE_URL"])
            app = Litestar(route_handlers=[])
        """,
            "schema.sql": "-- all tables\ncreate table users (id serial primary key);\n",
        }
    ).values()
    assert values["app"] == "app:app"
    assert values["schema"] == "schema.sql"


def test_src_layout_that_is_installed(shape):
    said = shape.files(
        {
            "pyproject.toml": '[build-system]\nrequires = ["hatchling"]\n[project]\nname = "shop"\n',
            "src/shop/__init__.py": "",
            "src/shop/api.py": "from starlette.applications import Starlette\napp = Starlette()\n",
            "examples/demo.py": "from fastapi import FastAPI\napp = FastAPI()\n",
        }
    ).init()
    assert said["values"][0]["value"] == "shop.api:app"
    assert not any("pythonpath" in one["text"] for one in said["notes"])


def test_src_layout_that_is_not_installed_needs_pythonpath(shape):
    said = shape.files({"src/shop/api.py": "import fastapi\napp = fastapi.FastAPI()\n"}).init()
    assert said["values"][0]["value"] == "shop.api:app"
    assert any('pythonpath = ["src"]' in one["text"] for one in said["notes"])


FLAT = {"shop/__init__.py": "", "shop/api.py": "import fastapi\napp = fastapi.FastAPI()\n", "tests/test_it.py": ""}


def test_a_package_in_the_root_that_plain_pytest_does_not_find_needs_pythonpath(shape):
    said = shape.files(FLAT).init()
    assert said["values"][0]["value"] == "shop.api:app"
    assert any('pythonpath = ["."]' in one["text"] for one in said["notes"])


@pytest.mark.parametrize(
    "more",
    [
        {"pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n'},
        {"pyproject.toml": '[build-system]\nrequires = ["hatchling"]\n[project]\nname = "shop"\n'},
        {"conftest.py": ""},
        {"tests/__init__.py": ""},
        {"test_more.py": ""},
        {"tests/test_more.py": "from shop.api import app\n"},
    ],
    ids=["pythonpath", "installed", "conftest.py", "tests are a package", "tests in the root", "tests that import it"],
)
def test_a_package_in_the_root_that_pytest_finds_needs_nothing(shape, more):
    said = shape.files(FLAT | more).init()
    assert not any("pythonpath" in one["text"] for one in said["notes"])


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pytest.ini", "[pytest]\npythonpath = services/api\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\npythonpath = ["services/api"]\n'),
        ("pyproject.toml", '[tool.pytest]\npythonpath = ["services/api"]\n'),
        (".pytest.ini", "[pytest]\npythonpath = services/api\n"),
        ("pytest.toml", '[pytest]\npythonpath = ["services/api"]\n'),
    ],
)
def test_a_pythonpath_of_pytest_is_an_import_root(shape, file, text):
    said = shape.files({file: text, "services/api/web.py": "import fastapi\napp = fastapi.FastAPI()\n"}).init()
    assert said["values"][0]["value"] == "web:app"
    assert not any("pythonpath" in one["text"] for one in said["notes"])


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        ({"pyproject.toml": ""}, 'pythonpath = ["api"] in [tool.pytest.ini_options] of pyproject.toml'),
        ({}, 'pythonpath = ["api"] in [tool.pytest.ini_options] of pyproject.toml'),
        (
            {"pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["lib"]\n'},
            'pythonpath = ["lib", "api"] in [tool.pytest.ini_options] of pyproject.toml',
        ),
        (
            {"pyproject.toml": "[tool.pytest]\nxfail_strict = true\n", "tox.ini": "[pytest]\n"},
            'pythonpath = ["api"] in [tool.pytest] of pyproject.toml',
        ),
        (
            {"pytest.ini": "", "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["api"]\n'},
            "pythonpath = api in [pytest] of pytest.ini",
        ),
        (
            {".pytest.toml": "[pytest]\nxfail_strict = true\n", ".pytest.ini": "[pytest]\npythonpath = api\n"},
            'pythonpath = ["api"] in [pytest] of .pytest.toml',
        ),
        ({"tox.ini": "[pytest]\npythonpath = lib\n"}, "pythonpath = lib api in [pytest] of tox.ini"),
        ({"setup.cfg": "[tool:pytest]\naddopts = -q\n"}, "pythonpath = api in [tool:pytest] of setup.cfg"),
    ],
)
def test_a_pythonpath_is_advised_where_pytest_reads_it(shape, files, advice):
    main = {
        "api/web/main.py": "import fastapi\napp = fastapi.FastAPI()\n",
        "api/web/other.py": "from web import main\n",
    }
    said = shape.files({**files, **main}).init()
    (note,) = [one["text"] for one in said["notes"] if "pythonpath" in one["text"]]
    assert note == f"`web.main:app` is imported from api/: write {advice}, or install the project"


def test_a_variable_of_a_second_database_is_named_with_what_to_write(shape):
    said = shape.files(
        {
            "requirements.txt": "psycopg2\n",
            "db.py": "import os\nmain, stats = os.environ['DATABASE_URL'], os.environ['STATS_DATABASE_URL']\n",
        }
    ).init()
    (note,) = [one["text"] for one in said["notes"] if "STATS" in one["text"]]
    assert 'a resource of its own, with env = "STATS_DATABASE_URL"' in note
    assert 'env = ["DATABASE_URL", "STATS_DATABASE_URL"]' in note


def test_what_is_proposed_for_a_pythonpath_works_by_hand_too(shape, monkeypatch, request):
    """`doctor`, `up` and `run` import the project from where pytest does."""
    monkeypatch.setenv("SEATRIAL_CACHE", str(shape.folder / "cache"))
    monkeypatch.setattr("sys.path", [*sys.path])
    request.addfinalizer(lambda: [sys.modules.pop(name, None) for name in ("tables_of_api", "more_tables_of_api")])
    base = "from sqlalchemy.orm import DeclarativeBase\nclass Base(DeclarativeBase):\n    pass\n"
    table = (
        "from sqlalchemy.orm import Mapped, mapped_column\nfrom tables_of_api import Base\n"
        "class User(Base):\n    __tablename__ = 'users'\n    id: Mapped[int] = mapped_column(primary_key=True)\n"
    )
    shape.files(
        {
            "pytest.ini": "[pytest]\npythonpath = services/api\n",
            "services/api/tables_of_api.py": f"URL = 'sqlite:///shop.db'\n{base}",
            "services/api/more_tables_of_api.py": table,
        }
    )
    assert shape.init()["missing"] == ["app", "resources.db.override"]
    status, told, why = shape.run("doctor", "-C", str(shape.folder), "--json")
    assert status == 0, told + why


def test_django(shape):
    said = shape.files(
        {
            "manage.py": "import os\nfrom django.core.management import execute_from_command_line\n",
            "shop/env.py": "import environ\nenv = environ.Env()\n",
            "shop/settings.py": "from .env import env\nDATABASES = {'default': env.db('DATABASE_URL', default='postgres:///shop')}\n",
            "shop/asgi.py": "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n",
            "shop/wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
            "requirements.txt": "django\npsycopg\n",
        }
    ).init()
    values = {one["key"].removeprefix("resources.db."): one["value"] for one in said["values"]}
    assert values["app"] == "shop.asgi:application"
    assert values["schema"] == "django"
    assert said["missing"] == []
    assert any("seatrial_db" in one["text"] for one in said["notes"])
    assert not any("fixed in the code" in one["text"] for one in said["notes"]), "django-environ reads the variable"


def test_several_apps_the_one_that_is_started_is_taken(shape):
    said = shape.files(
        {
            "shop/admin/main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
            "shop/public/main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
            "compose.yaml": "services:\n  web:\n    command: uvicorn shop.public.main:app\n    ports: ['80:80']\n",
            "tests/fake.py": "from fastapi import FastAPI\napp = FastAPI()\n",
        }
    ).init()
    assert said["values"][0]["value"] == "shop.public.main:app"
    assert [one["value"] for one in said["others"]["app"]] == ["shop.admin.main:app", "tests.fake:app"]


def test_alembic_is_preferred_to_the_base(shape):
    said = shape.files(
        {
            **FASTAPI_SYNC,
            "alembic.ini": "[alembic]\nscript_location = %(here)s/migrations\n",
            "migrations/env.py": "",
            "migrations/versions/0001_users.py": "",
            "migrations/versions/0002_items.py": "",
        }
    ).init()
    (schema,) = [one for one in said["values"] if one["key"] == "resources.db.schema"]
    assert schema["value"] == "alembic.ini"
    assert "2 revisions" in schema["why"]
    assert [one["value"] for one in said["others"]["resources.db.schema"]] == ["app.database:Base"]
    assert any("the migrations are preferred to app.database:Base" in one["text"] for one in said["notes"])


def test_alembic_without_a_revision_is_not_taken(shape):
    values = shape.files({**FASTAPI_SYNC, "alembic.ini": "[alembic]\nscript_location = alembic\n"}).values()
    assert values["schema"] == "app.database:Base"


def test_prisma_migrations_and_folders_of_sql(shape):
    assert shape.files({"prisma/migrations/0001_init/migration.sql": "CREATE TABLE a ();"}).values()["schema"] == (
        "prisma/migrations"
    )


def test_a_folder_of_sql(shape):
    files = {"migrations/001.sql": "create table a ();", "migrations/002.sql": "create table b ();"}
    assert shape.files(files).values()["schema"] == "migrations"


def test_a_project_on_sqlite_alone(shape):
    values = shape.files(
        {
            "main.py": """
            import os
            from fastapi import FastAPI
            url = os.environ.get("DATABASE_URL", "sqlite:///./shop.db")
            app = FastAPI()
        """,
        }
    ).values()
    assert values["kind"] == "sqlite"


def test_an_address_that_is_fixed_in_the_code_is_told(shape):
    said = shape.files(
        {
            "conftest.py": "",
            "main.py": """
            from fastapi import FastAPI
            from sqlalchemy import create_engine
            engine = create_engine("postgresql://shop:shop@localhost/shop")
            app = FastAPI()
        """,
        }
    ).init()
    (note,) = said["notes"]
    assert note["about"] == "main.py:3"
    assert "the app will not reach the test database" in note["text"]


def test_nothing_found_leaves_a_file_to_fill_in(shape):
    said = shape.files({"README.md": "nothing here\n"}).init()
    assert said["file"] == str(shape.folder / "seatrial.toml")
    assert said["missing"] == ["app", "resources.db.schema", "resources.db.override"]
    assert said["text"].startswith('# app = "app.main:app"')
    assert '[resources.db]\nkind = "postgres"\n# schema = ' in said["text"]


def test_code_that_does_not_parse_is_passed_over(shape):
    said = shape.files(
        {
            "conftest.py": "",
            "broken.py": "def (:\n",
            "legacy.py": "print 'hello'\n",
            "main.py": "from fastapi import FastAPI\napp: FastAPI = FastAPI()\n",
        }
    ).init()
    assert said["values"][0]["value"] == "main:app"
    assert [one["about"] for one in said["notes"]] == ["broken.py:1", "legacy.py:1"]


def test_virtual_environments_are_not_the_project(shape):
    said = shape.files(
        {
            "myenv/pyvenv.cfg": "home = /usr/bin\n",
            "myenv/lib/thing/main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
            "node_modules/x/main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
        }
    ).init()
    assert "app" in said["missing"]


def test_settings_that_are_inherited_and_nested(shape):
    values = shape.files({
        "app/base.py": "from pydantic_settings import BaseSettings\nclass Base(BaseSettings):\n    debug: bool\n",
        "app/config.py": """
            from pydantic import BaseModel, Field
            from app.base import Base

            class Database(BaseModel):
                hostname: str = "localhost"
                username: str
                password: str
                db: str = "shop"

            class Settings(Base):
                model_config = {"env_nested_delimiter": "__", "env_prefix": "SHOP_"}
                database: Database = Field(default_factory=Database)
        """,
        "app/main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
    }).values()  # fmt: skip
    assert values["env"] == {
        "SHOP_DATABASE__HOSTNAME": "{host}",
        "SHOP_DATABASE__USERNAME": "{user}",
        "SHOP_DATABASE__PASSWORD": "{password}",
        "SHOP_DATABASE__DB": "{database}",
    }


def test_a_function_of_the_project_that_reads_the_environment(shape):
    values = shape.files({
        "app.py": """
            from fastapi import FastAPI
            from lib import get_env
            URL = get_env("SHOP_DATABASE_URL", "postgresql+psycopg://shop:shop@localhost/shop")
            app = FastAPI()
        """,
    }).values()  # fmt: skip
    assert values["env"] == {"SHOP_DATABASE_URL": "postgresql+psycopg://{user}:{password}@{host}:{port}/{database}"}


def test_migrations_with_a_file_for_each_direction_are_a_folder_of_those_that_go_up(shape):
    said = shape.files(
        {
            "migrations/1_users.up.sql": "CREATE TABLE users (x int);",
            "migrations/1_users.down.sql": "DROP TABLE users;",
            "migrations/2_more.up.sql": "CREATE TABLE more (x int);",
            "migrations/2_more.down.sql": "DROP TABLE more;",
        }
    ).init()
    (schema,) = [one for one in said["values"] if one["key"] == "resources.db.schema"]
    assert (schema["value"], schema["why"]) == (
        "migrations",
        "a folder of 2 files of SQL, run in the order of their names",
    )
