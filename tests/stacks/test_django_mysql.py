"""Django on MariaDB, by PyMySQL in the place of mysqlclient."""

from __future__ import annotations

import shutil
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("mariadbd"), reason="no MariaDB on this machine")

PROJECT = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        DJANGO_SETTINGS_MODULE = "settings"
        pythonpath = ["."]
        filterwarnings = ["error"]

        [tool.seatrial.resources.db]
        kind = "mariadb"
        schema = "django"
        """,
    "settings.py": """
        import pymysql

        pymysql.install_as_MySQLdb()
        SECRET_KEY = "made up"
        USE_TZ = True
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
        DATABASES = {"default": {"ENGINE": "django.db.backends.mysql", "NAME": "shop", "HOST": "database.invalid"}}
        """,
    "tests/test_groups.py": """
        import pytest
        from django.contrib.auth.models import Group
        from django.db import connection


        @pytest.mark.parametrize("attempt", range(2))
        def test_the_schema_is_changed(transactional_db, attempt):
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE auth_group ADD COLUMN size INT")
            assert Group.objects.create(name="ada").pk == 1


        @pytest.mark.parametrize("attempt", range(2))
        def test_in_a_transaction_of_djangos(db, attempt):
            assert Group.objects.create(name="ada").pk == 1
        """,
}


def test_pymysql_may_stand_in_for_mysqlclient(project, passes):
    project.write(PROJECT)
    passes("-p", "pytest_django.plugin", "tests/test_groups.py::test_in_a_transaction_of_djangos", passed=2)


@pytest.mark.parametrize("isolation", ["reset", "clone"])
def test_connections_go_on_after_their_database_was_replaced(project, passes, isolation):
    project.write(PROJECT)
    passes("-p", "pytest_django.plugin", "--seatrial-set", f"db.isolation={isolation}", passed=4)


def test_a_database_of_another_kind_at_the_address_is_named_and_not_spoken_to(project):
    project.write(PROJECT)
    at_the_address = """
url = urlsplit(os.environ["DATABASE_URL"])
DATABASES["default"] |= {"NAME": url.path[1:], "HOST": url.hostname, "PORT": url.port}
"""
    project.write(
        {
            "pyproject.toml": PROJECT["pyproject.toml"].replace('"mariadb"', '"postgres"'),
            "settings.py": "import os\nfrom urllib.parse import urlsplit\n"
            + textwrap.dedent(PROJECT["settings.py"])
            + at_the_address,
        }
    )
    outcome = project.pytest("-p", "pytest_django.plugin", "-k", "in_a_transaction")
    assert "none is postgresql at its address" in outcome.text
