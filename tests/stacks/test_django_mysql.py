"""Django on MariaDB, by PyMySQL in the place of mysqlclient."""

from __future__ import annotations

import shutil

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


        @pytest.mark.parametrize("attempt", range(2))
        def test_in_a_transaction_of_djangos(db, attempt):
            assert Group.objects.create(name="ada").pk == 1
        """,
}


def test_pymysql_may_stand_in_for_mysqlclient(project, passes):
    project.write(PROJECT)
    passes("-p", "pytest_django.plugin", "-k", "in_a_transaction", passed=2)
