"""`seatrial init` takes what an app opens its connections with: the database's variable, Redis, Valkey and NATS."""

from __future__ import annotations

import pytest


def beside(said, kind):
    start = f"resources.{kind}."
    return {one["key"].removeprefix(start): one["value"] for one in said["values"] if one["key"].startswith(start)}


@pytest.mark.parametrize(
    "code",
    [
        'from sqlalchemy import create_engine\nengine = create_engine(os.environ["PARCELS"])\n',
        'import sqlalchemy as sa\nADDRESS = os.environ["PARCELS"]\nengine = sa.create_engine(url=ADDRESS)\n',
        'from sqlmodel import create_engine\ndef engine():\n    return create_engine(os.getenv("PARCELS").strip())\n',
        "from sqlalchemy import create_engine\nfrom app.config import ADDRESS\nengine = create_engine(ADDRESS)\n",
        "from sqlalchemy import create_engine\nfrom app import config\nengine = create_engine(config.settings.parcels)\n",
        'import psycopg\ndef connect():\n    return psycopg.connect(os.environ["PARCELS"])\n',
        'from psycopg_pool import ConnectionPool\npool = ConnectionPool(conninfo=os.environ["PARCELS"])\n',
    ],
    ids=["inline", "by a name", "in a function", "from another module", "from settings", "psycopg", "a pool"],
)
def test_what_an_engine_is_made_with_is_the_database_s_variable_whatever_its_name(shape, code):
    config = """
        import os
        from pydantic_settings import BaseSettings
        LOG_URL = os.environ["LOG_DB_URL"]
        ADDRESS = os.environ["PARCELS"]
        class Settings(BaseSettings):
            parcels: str
        settings = Settings()
    """
    shape.files({"requirements.txt": "psycopg2\n", "app/__init__.py": "", "app/config.py": config})
    assert shape.files({"app/db.py": f"import os\n{code}"}).values()["env"] == "PARCELS"


def test_an_async_engine_gets_its_driver(shape):
    code = """
        import os
        from sqlalchemy.ext.asyncio import create_async_engine
        engine = create_async_engine(os.environ["PARCEL_DB"])
    """
    shape.files({"requirements.txt": "asyncpg\n", "app.py": code})
    template = "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}"
    assert shape.values()["env"] == {"PARCEL_DB": template}


@pytest.mark.parametrize(
    "argument",
    [
        "f\"postgresql://app:{os.environ['PASSWORD']}@db/app\"",
        'URL.create("postgresql", password=os.environ["PASSWORD"])',
    ],
)
def test_a_part_of_an_address_is_not_taken_for_the_address(shape, argument):
    code = f"import os\nfrom sqlalchemy import URL, create_engine\nengine = create_engine({argument})\n"
    assert "env" not in shape.files({"app.py": code}).values()


@pytest.mark.parametrize(
    ("kind", "code", "env"),
    [
        ("redis", 'import redis\nr = redis.from_url(os.environ["REDIS_URL"])\n', None),
        ("redis", 'from redis.asyncio import Redis\nr = Redis.from_url(os.environ["CACHE"])\n', "CACHE"),
        ("redis", 'import redis.asyncio as aio\nr = aio.from_url(os.getenv("CACHE_URL", "redis://x"))\n', "CACHE_URL"),
        (
            "redis",
            'from redis import Redis\nr = Redis(os.environ["H"], port=int(os.environ["P"]))\n',
            None,
        ),
        (
            "redis",
            'from redis import Redis\nr = Redis(host=os.environ["H"], port=int(os.environ["P"]), db=0)\n',
            {"H": "{host}", "P": "{port}"},
        ),
        ("valkey", 'import valkey\nr = valkey.from_url(os.environ["CACHE"])\n', "CACHE"),
        ("nats", 'import nats\nasync def f():\n    return await nats.connect(os.environ["BUS"])\n', "BUS"),
    ],
)
def test_whoever_connects_to_a_server_gets_a_resource_for_it(shape, kind, code, env):
    found = beside(shape.files({"app/other.py": f"import os\n{code}"}).init(), kind)
    assert found.pop("kind") == kind
    assert found == ({} if env is None else {"env": env})


def test_an_address_that_was_not_found_is_asked_for(shape):
    said = shape.files({"app.py": 'import redis\nr = redis.from_url("redis://cache:6379/0")\n'}).init()
    assert beside(said, "redis") == {"kind": "redis"}
    [note] = [one["text"] for one in said["notes"] if "redis" in one["text"]]
    assert "where it is not REDIS_URL, give it in `env`" in note


def test_a_client_of_the_tests_is_none_of_the_app(shape):
    assert beside(shape.files({"tests/test_a.py": 'import redis\nredis.from_url("redis://x")\n'}).init(), "redis") == {}


def test_django_without_an_asgi_or_wsgi_module_is_asked_for_nothing(shape):
    said = shape.files(
        {
            "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\nimport django\n",
            "site1/__init__.py": "",
            "site1/settings.py": "INSTALLED_APPS = ['zoo']\n",
            "requirements.txt": "django\npsycopg\n",
        }
    ).init()
    assert said["missing"] == []
    assert "#" not in said["text"]
    assert any("beside pytest-django" in note["text"] for note in said["notes"])


@pytest.mark.parametrize(("library", "told"), [("redis.asyncio", True), ("redis", False)])
def test_who_has_an_asynchronous_client_of_redis_hears_what_makes_the_fixture_one(shape, library, told):
    code = f"""
        import os
        from {library} import Redis
        def get_cache():
            return Redis.from_url(os.environ["REDIS_URL"])
    """
    notes = shape.files({"requirements.txt": "redis\n", "app.py": code}).init()["notes"]
    assert any("asynchronous client" in one["text"] and "`override`" in one["text"] for one in notes) is told
