"""`seatrial init` in projects as their frameworks' own documentation has them: each stack, recognised as it is."""

from __future__ import annotations

import pytest

from seatrial.config.keys import KindFacts, Known
from seatrial.config.load import load

KNOWN = Known(kinds={"postgres": KindFacts(env="DATABASE_URL")}, providers=("embedded",))
PROJECTS: dict[str, dict[str, str]] = {
    "Litestar with SQLAlchemy": {
        "pyproject.toml": """
            [project]
            name = "tickets"
            dependencies = ["litestar[standard]>=2.15", "sqlalchemy[asyncio]", "asyncpg", "alembic"]
        """,
        "tickets/__init__.py": "",
        "tickets/asgi.py": """
            from litestar import Litestar
            from litestar.di import Provide
            from tickets.controllers import TicketController
            from tickets.db import provide_session, lifespan

            def create_app() -> Litestar:
                return Litestar(route_handlers=[TicketController], dependencies={"session": Provide(provide_session)}, lifespan=[lifespan])

            app = create_app()
        """,
        "tickets/controllers.py": """
            from litestar import Controller, get
            from sqlalchemy.ext.asyncio import AsyncSession
            class TicketController(Controller):
                path = "/tickets"
                @get()
                async def index(self, session: AsyncSession) -> list[int]:
                    return []
        """,
        "tickets/db.py": """
            from collections.abc import AsyncIterator
            from contextlib import asynccontextmanager
            from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
            from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
            from tickets.settings import settings
            engine = create_async_engine(settings.database_url)
            make = async_sessionmaker(engine, expire_on_commit=False)
            class Base(DeclarativeBase): pass
            class Ticket(Base):
                __tablename__ = "tickets"
                id: Mapped[int] = mapped_column(primary_key=True)
            async def provide_session() -> AsyncIterator[AsyncSession]:
                async with make() as session:
                    yield session
            @asynccontextmanager
            async def lifespan(app):
                yield
                await engine.dispose()
        """,
        "tickets/settings.py": """
            import os
            from dataclasses import dataclass, field
            @dataclass
            class Settings:
                database_url: str = field(default_factory=lambda: os.environ["TICKETS_DATABASE_URL"])
            settings = Settings()
        """,
    },
    "Django with Ninja": {
        "manage.py": """
            import os, sys
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
            from django.core.management import execute_from_command_line
            execute_from_command_line(sys.argv)
        """,
        "pytest.ini": """
            [pytest]
            DJANGO_SETTINGS_MODULE = shop.settings
        """,
        "requirements.txt": """
            Django>=5
            django-ninja
            psycopg[binary]
            pytest-django
        """,
        "shop/__init__.py": "",
        "shop/asgi.py": """
            import os
            from django.core.asgi import get_asgi_application
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
            application = get_asgi_application()
        """,
        "shop/settings.py": """
            import os
            import environ
            SECRET_KEY = "x"
            INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "books"]
            ROOT_URLCONF = "shop.urls"
            WSGI_APPLICATION = "shop.wsgi.application"
            DATABASES = {
                "default": {
                    "ENGINE": "django.db.backends.postgresql",
                    "NAME": os.environ.get("POSTGRES_DB", "shop"),
                    "USER": os.environ.get("POSTGRES_USER", "shop"),
                    "PASSWORD": os.environ.get("POSTGRES_PASSWORD", "shop"),
                    "HOST": os.environ.get("POSTGRES_HOST", "localhost"),
                    "PORT": os.environ.get("POSTGRES_PORT", "5432"),
                }
            }
        """,
        "shop/urls.py": """
            from django.urls import path
            from ninja import NinjaAPI
            api = NinjaAPI()
            @api.get("/books")
            def books(request): return []
            urlpatterns = [path("api/", api.urls)]
        """,
        "shop/wsgi.py": """
            import os
            from django.core.wsgi import get_wsgi_application
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
            application = get_wsgi_application()
        """,
        "books/__init__.py": "",
        "books/models.py": """
            from django.db import models
            class Book(models.Model):
                title = models.CharField(max_length=20)
        """,
        "books/migrations/0001_initial.py": """
            from django.db import migrations
            class Migration(migrations.Migration): pass
        """,
    },
    "an asyncpg pool, and an app that is mounted": {
        "pyproject.toml": """
            [project]
            name = "x"
            dependencies = ["fastapi", "asyncpg", "uvicorn"]
        """,
        "app/__init__.py": "",
        "app/config.py": """
            import os
            PG_DSN = os.environ["PG_DSN"]
        """,
        "app/main.py": """
            from contextlib import asynccontextmanager
            import asyncpg
            from fastapi import Depends, FastAPI, Request
            from app.config import PG_DSN
            @asynccontextmanager
            async def lifespan(app):
                async with asyncpg.create_pool(PG_DSN, min_size=1) as pool:
                    app.state.pool = pool
                    yield
            def get_pool(request: Request) -> asyncpg.Pool:
                return request.app.state.pool
            async def get_conn(pool=Depends(get_pool)):
                async with pool.acquire() as conn:
                    yield conn
            api = FastAPI()
            @api.get("/x")
            async def x(conn=Depends(get_conn)): return await conn.fetchval("select 1")
            app = FastAPI(lifespan=lifespan)
            app.mount("/api", api)
        """,
        "db/schema.sql": """
            create table x (id serial primary key);
        """,
    },
    "Tortoise with Aerich": {
        "main.py": """
            import os
            from fastapi import FastAPI
            from tortoise.contrib.fastapi import register_tortoise
            app = FastAPI()
            TORTOISE_ORM = {
                "connections": {"default": os.environ.get("DATABASE_URL", "postgres://u:p@localhost:5432/shop")},
                "apps": {"models": {"models": ["models", "aerich.models"], "default_connection": "default"}},
            }
            register_tortoise(app, config=TORTOISE_ORM, generate_schemas=False)
        """,
        "models.py": """
            from tortoise import fields
            from tortoise.models import Model
            class Book(Model):
                id = fields.IntField(primary_key=True)
                title = fields.TextField()
        """,
        "pyproject.toml": """
            [tool.aerich]
            tortoise_orm = "main.TORTOISE_ORM"
            location = "./migrations"
        """,
        "requirements.txt": """
            fastapi
            tortoise-orm[asyncpg]
            aerich
        """,
        "migrations/models/0_20240101_init.py": """
            from tortoise import BaseDBAsyncClient
            async def upgrade(db: BaseDBAsyncClient) -> str:
                return "CREATE TABLE book (id SERIAL PRIMARY KEY, title TEXT)"
        """,
    },
    "Piccolo on Starlette": {
        "app.py": """
            from starlette.applications import Starlette
            from starlette.routing import Mount, Route
            admin = Starlette(routes=[])
            app = Starlette(routes=[Mount("/admin", admin)])
        """,
        "piccolo_conf.py": """
            import os
            from piccolo.conf.apps import AppRegistry
            from piccolo.engine.postgres import PostgresEngine
            DB = PostgresEngine(config={"host": os.environ["DB_HOST"], "port": int(os.environ["DB_PORT"]), "user": os.environ["DB_USER"], "password": os.environ["DB_PASSWORD"], "database": os.environ["DB_NAME"]})
            APP_REGISTRY = AppRegistry(apps=["home.piccolo_app"])
        """,
        "requirements.txt": """
            starlette
            piccolo[postgres]
        """,
        "home/__init__.py": "",
        "home/piccolo_app.py": """
            import os
            from piccolo.conf.apps import AppConfig
            CURRENT_DIRECTORY = os.path.dirname(os.path.abspath(__file__))
            APP_CONFIG = AppConfig(app_name="home", migrations_folder_path=os.path.join(CURRENT_DIRECTORY, "piccolo_migrations"), table_classes=[])
        """,
        "home/piccolo_migrations/home_2024_01_01.py": """
            from piccolo.apps.migrations.auto.migration_manager import MigrationManager
            ID = "2024-01-01"
            async def forwards():
                return MigrationManager(migration_id=ID, app_name="home", description="")
        """,
    },
    "Flask with an application factory": {
        ".flaskenv": """
            FLASK_APP=wsgi.py
        """,
        "requirements.txt": """
            flask
            Flask-SQLAlchemy
            Flask-Migrate
            psycopg2-binary
        """,
        "wsgi.py": """
            from app import create_app
            app = create_app()
        """,
        "app/__init__.py": """
            from flask import Flask
            from app.extensions import db, migrate
            from app.config import Config
            def create_app(config_class=Config):
                app = Flask(__name__)
                app.config.from_object(config_class)
                db.init_app(app)
                migrate.init_app(app, db)
                from app.todos import bp
                app.register_blueprint(bp)
                return app
        """,
        "app/config.py": """
            import os
            class Config:
                SQLALCHEMY_DATABASE_URI = os.environ.get("DATABASE_URL") or "sqlite:///app.db"
        """,
        "app/extensions.py": """
            from flask_migrate import Migrate
            from flask_sqlalchemy import SQLAlchemy
            db = SQLAlchemy()
            migrate = Migrate()
        """,
        "app/models.py": """
            from app.extensions import db
            class Todo(db.Model):
                id = db.Column(db.Integer, primary_key=True)
        """,
        "app/todos.py": """
            from flask import Blueprint
            bp = Blueprint("todos", __name__)
        """,
        "migrations/alembic.ini": """
            [alembic]
        """,
        "migrations/env.py": """
            from flask import current_app
        """,
        "migrations/versions/0001_x.py": """
            revision = "0001"
        """,
    },
}

SAID = {
    "Litestar with SQLAlchemy": {
        "app": "tickets.asgi:app",
        "kind": "postgres",
        "schema": "tickets.db:Base",
        "override": "tickets.db:provide_session",
        "env": {"TICKETS_DATABASE_URL": "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}"},
    },
    "Django with Ninja": {
        "app": "shop.asgi:application",
        "kind": "postgres",
        "schema": "django",
        "env": {
            "POSTGRES_DB": "{database}",
            "POSTGRES_USER": "{user}",
            "POSTGRES_PASSWORD": "{password}",
            "POSTGRES_HOST": "{host}",
            "POSTGRES_PORT": "{port}",
        },
    },
    "an asyncpg pool, and an app that is mounted": {
        "app": "app.main:app",
        "kind": "postgres",
        "schema": "db/schema.sql",
        "env": "PG_DSN",
    },
    "Tortoise with Aerich": {
        "app": "main:app",
        "kind": "postgres",
        "schema": "aerich upgrade",
        "env": {"DATABASE_URL": "postgres://{user}:{password}@{host}:{port}/{database}"},
    },
    "Piccolo on Starlette": {
        "app": "app:app",
        "kind": "postgres",
        "schema": "piccolo migrations forwards all",
        "env": {
            "DB_HOST": "{host}",
            "DB_PORT": "{port}",
            "DB_USER": "{user}",
            "DB_PASSWORD": "{password}",
            "DB_NAME": "{database}",
        },
    },
    "Flask with an application factory": {"app": "wsgi:app", "kind": "postgres", "schema": "app.extensions:db"},
}


@pytest.mark.parametrize("name", PROJECTS)
def test_a_stack_is_recognised_with_nothing_left_to_fill_in(shape, name):
    said = shape.files(PROJECTS[name]).init()
    assert {one["key"].removeprefix("resources.db."): one["value"] for one in said["values"]} == SAID[name]
    assert said["missing"] == []


@pytest.mark.parametrize(
    ("file", "text", "command"),
    [
        ("yoyo.ini", "[DEFAULT]\nsources = migrations\n", "yoyo apply --batch"),
        ("aerich.ini", "[aerich]\ntortoise_orm = main.TORTOISE_ORM\n", "aerich upgrade"),
        (
            "db/migrations/2_year.sql",
            "-- migrate:up\nalter table b add y int;\n-- migrate:down\n",
            "dbmate --no-dump-schema up",
        ),
    ],
)
def test_a_tool_of_migrations_is_a_command(shape, file, text, command):
    """Files of SQL that belong to it are not taken for a schema of their own."""
    sql = "-- migrate:up\ncreate table b ();\n" if "dbmate" in command else "create table b ();\n"
    folder = "db/migrations" if "dbmate" in command else "migrations"
    assert shape.files({file: text, f"{folder}/1_first.sql": sql}).values()["schema"] == command


@pytest.mark.parametrize(
    ("conftest", "adapt"),
    [
        ("from testcontainers.postgres import PostgresContainer\n", ["testcontainers"]),
        ("from testcontainers.redis import RedisContainer\n", ["testcontainers"]),
        ("import testcontainers.postgres as p\nserver = p.PostgresContainer()\n", ["testcontainers"]),
        ("from testcontainers.kafka import KafkaContainer\n", None),
        ("from pytest_postgresql import factories\nproc = factories.postgresql_proc()\n", ["pytest-postgresql"]),
        ("def test_it(postgresql):\n    pass\n", ["pytest-postgresql"]),
        ('pytest_plugins = ["pytest_databases.docker.postgres"]\n', ["pytest-databases"]),
        ('pytest_plugins = ["pytest_databases.docker.mongodb"]\n', None),
        (
            "from testcontainers.postgres import PostgresContainer\nfrom pytest_postgresql import factories\n",
            ["testcontainers", "pytest-postgresql"],
        ),
    ],
)
def test_a_suite_that_starts_servers_by_another_tool_goes_on_with_ours(shape, conftest, adapt):
    """A server that we do not answer for is left to that tool."""
    shape.files(
        {
            "main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
            "tests/conftest.py": conftest,
            "requirements-dev.txt": "pytest-postgresql\n",
        }
    )
    said = shape.init()
    told = [one for one in said["values"] if one["key"] == "adapt"]
    assert [one["value"] for one in told] == ([adapt] if adapt else [])
    assert all(one["from"].startswith("tests/conftest.py:") for one in told)
    written = load(shape.folder / "seatrial.toml", environ={}, known=KNOWN)
    assert written.adapt == tuple(adapt or ())
