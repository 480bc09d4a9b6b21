"""Django beside pytest-django: its fixtures and test cases keep their meaning, and no database but the copy is used."""

from __future__ import annotations

import pytest

SETTINGS = """
import os
from urllib.parse import urlsplit

SECRET_KEY = "made up"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "shop"]
ROOT_URLCONF = "shop.urls"
ALLOWED_HOSTS = ["*"]
STATIC_URL = "static/"
"""

AT_URL = """{
    "ENGINE": "django.db.backends.postgresql",
    "NAME": url.path[1:],
    "USER": url.username,
    "PASSWORD": url.password,
    "HOST": url.hostname,
    "PORT": url.port,
}
"""
FROM_ENVIRONMENT = f"""
url = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {{"default": {AT_URL}}}
"""

WRITTEN_DOWN = """
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "shop",
        "USER": "shop",
        "PASSWORD": "secret",
        "HOST": "database.invalid",
        "PORT": 5432,
        "CONN_MAX_AGE": 60,
    },
    "notes": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
}
"""
AT_NOWHERE = '{"ENGINE": "django.db.backends.postgresql", "NAME": "notes", "HOST": "database.invalid"}'

PROJECT = {
    "manage.py": """
        import os, sys
        from django.core.management import execute_from_command_line

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
        execute_from_command_line(sys.argv)
        """,
    "shop/__init__.py": "",
    "shop/models.py": """
        from django.db import models


        class Colour(models.Model):
            name = models.CharField(max_length=20, unique=True)


        class Item(models.Model):
            name = models.CharField(max_length=20)
            colour = models.ForeignKey(Colour, models.CASCADE)
        """,
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_first.py": """
        from django.db import migrations, models


        def colours(apps, editor):
            for name in ("red", "green"):
                apps.get_model("shop", "Colour").objects.create(name=name)


        class Migration(migrations.Migration):
            initial = True
            operations = [
                migrations.CreateModel(
                    "Colour",
                    [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=20, unique=True))],
                ),
                migrations.CreateModel(
                    "Item",
                    [
                        ("id", models.BigAutoField(primary_key=True)),
                        ("name", models.CharField(max_length=20)),
                        ("colour", models.ForeignKey("shop.Colour", models.CASCADE)),
                    ],
                ),
                migrations.RunPython(colours),
            ]
        """,
    "shop/urls.py": """
        from django.urls import path
        from ninja import NinjaAPI
        from rest_framework import routers, serializers, viewsets

        from shop.models import Item


        class ItemSerializer(serializers.ModelSerializer):
            class Meta:
                model = Item
                fields = ["id", "name", "colour"]


        class Items(viewsets.ModelViewSet):
            queryset = Item.objects.order_by("id")
            serializer_class = ItemSerializer
            authentication_classes = permission_classes = []


        api = NinjaAPI()


        @api.post("/items/{name}")
        def make(request, name: str):
            return {"id": Item.objects.create(name=name, colour_id=1).id}


        router = routers.SimpleRouter()
        router.register("items", Items)
        urlpatterns = [*router.urls, path("ninja/", api.urls)]
        """,
    "seed.py": """
        def load():
            from django.contrib.auth.models import Group

            Group.objects.create(name="seeded")
        """,
    "tests/test_1_layer.py": """
        import pytest
        from django.contrib.auth.models import Group
        from django.test import TestCase


        @pytest.fixture(scope="module", autouse=True)
        def stock(django_db_setup, django_db_blocker):
            with django_db_blocker.unblock():
                Group.objects.create(name="of the module")
            yield
            with django_db_blocker.unblock():
                Group.objects.create(name="of its tear-down")


        class TestThatIsTheLastOfItsModule(TestCase):
            def test_one(self):
                assert set(Group.objects.values_list("name", flat=True)) == {"seeded", "of the module"}
        """,
    "tests/test_2_after.py": """
        from django.contrib.auth.models import Group
        from django.test import TestCase


        class TestAfterTheModule(TestCase):
            def test_one(self):
                assert [each.name for each in Group.objects.all()] == ["seeded"]
        """,
    "tests/test_shop.py": """
        import threading

        import pytest
        from django.contrib.auth.models import Group
        from django.db import connection, transaction
        from django.test import TestCase, TransactionTestCase

        from shop.models import Colour, Item


        @pytest.mark.parametrize("attempt", range(2))
        def test_db_is_a_transaction_that_is_rolled_back(db, attempt):
            assert connection.in_atomic_block
            assert not connection.settings_dict["NAME"].startswith("test_")
            assert Item.objects.create(name="a", colour_id=1).id == 1


        @pytest.mark.parametrize("attempt", range(2))
        @pytest.mark.django_db
        def test_the_clients_of_rest_framework_and_ninja(client, attempt):
            assert client.post("/items/", {"name": "a", "colour": 2}).json()["id"] == 1
            assert client.post("/ninja/items/b").json() == {"id": 2}
            assert [each["name"] for each in client.get("/items/").json()] == ["a", "b"]


        @pytest.mark.parametrize("attempt", range(2))
        @pytest.mark.django_db(transaction=True)
        def test_a_transactional_test_commits_and_keeps_what_migrations_made(attempt):
            assert not connection.in_atomic_block
            done = []
            with transaction.atomic():
                assert Item.objects.create(name="a", colour_id=1).id == 1
                transaction.on_commit(lambda: done.append(True))
            assert done
            assert [each.name for each in Colour.objects.order_by("id")] == ["red", "green"]

            def look():
                done.append(Item.objects.count())
                connection.close()

            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
            assert done == [True, 1]
            assert Group.objects.get().name == "seeded"
            Colour.objects.all().delete()
            Group.objects.all().delete()


        @pytest.mark.django_db(transaction=True, reset_sequences=True)
        def test_restarted_sequences_do_not_collide_with_what_migrations_made():
            assert Colour.objects.create(name="blue").id == 3


        @pytest.mark.seatrial(db="clone")
        def test_a_test_may_ask_for_a_clone(transactional_db):
            with connection.cursor() as cursor:
                cursor.execute("alter table shop_item add column size int default 7")
            assert Item.objects.create(name="a", colour_id=1).id == 1


        def test_the_connection_goes_on_after_the_clone(transactional_db):
            columns = {each.name for each in connection.introspection.get_table_description(connection.cursor(), "shop_item")}
            assert "size" not in columns


        class TestOfAClass(TestCase):
            @classmethod
            def setUpTestData(cls):
                cls.item = Item.objects.create(name="of the class", colour_id=1)

            def test_one(self):
                self.item.delete()

            def test_two(self):
                assert Item.objects.get() == self.item

            def test_three(self):
                assert Item.objects.get() == self.item


        class TestWithCommits(TransactionTestCase):
            serialized_rollback = True

            def test_one(self):
                assert Item.objects.create(name="a", colour_id=1).id == 1

            def test_two(self):
                assert Item.objects.create(name="a", colour_id=1).id == 1


        def test_the_resource_is_there_as_well(transactional_db, seatrial_db):
            Item.objects.create(name="a", colour_id=1)
            assert seatrial_db.execute("select name from shop_item").fetchall() == [("a",)]


        def test_a_server_of_its_own_thread_sees_what_was_committed(live_server):
            from urllib.request import urlopen

            Item.objects.create(name="a", colour_id=1)
            assert b'"a"' in urlopen(live_server.url + "/items/").read()


        def test_without_a_database_access_is_refused():
            with pytest.raises(RuntimeError, match="not allowed"):
                Item.objects.count()
        """,
}
TESTS = 19
DJANGO = ("-p", "pytest_django.plugin")


def configured(schema: str) -> str:
    return f"""
        [tool.pytest.ini_options]
        DJANGO_SETTINGS_MODULE = "settings"
        pythonpath = ["."]
        filterwarnings = ["error"]

        [tool.seatrial.resources.db]
        kind = "postgres"
        schema = "{schema}"
        seed = "seed:load"
        """


@pytest.fixture
def service(project):
    return project.write(PROJECT)


def test_settings_that_read_the_environment_on_two_workers(service, passes):
    service.write({"settings.py": SETTINGS + FROM_ENVIRONMENT, "pyproject.toml": configured("django")})
    passes(*DJANGO, "-n", "2", passed=TESTS)


def test_settings_that_are_written_down_lead_to_the_copy_all_the_same(service, passes):
    service.write({"settings.py": SETTINGS + WRITTEN_DOWN, "pyproject.toml": configured("django")})
    told = passes(*DJANGO, passed=TESTS)
    assert "patch: Django DATABASES" in told
    # Django's transaction is inside the test's own part, also where only a marker asks for it.
    assert "left a connection" not in told


def test_a_class_whose_last_test_is_skipped_gives_its_database_back_before_the_next_module(service):
    service.write({"settings.py": SETTINGS + FROM_ENVIRONMENT, "pyproject.toml": configured("django")})
    service.write(
        {
            "tests/test_0_skipped.py": """
                import pytest
                from django.contrib.auth.models import Group
                from django.test import TestCase


                class TestOfAClass(TestCase):
                    def test_one(self):
                        Group.objects.create(name="of a test")

                    @pytest.mark.skip(reason="not today")
                    def test_two(self):
                        pass
                """
        }
    )
    outcome = service.pytest(*DJANGO, "tests/test_0_skipped.py", "tests/test_1_layer.py", "tests/test_2_after.py")
    assert outcome.counts() == {"passed": 3, "skipped": 1}, outcome.text


def test_a_resource_that_none_of_the_databases_can_mean_is_named(service):
    service.write(
        {
            "settings.py": SETTINGS + WRITTEN_DOWN.replace('"notes"', '"default"'),
            "pyproject.toml": configured("django"),
        }
    )
    outcome = service.pytest(*DJANGO, "-k", "of_rest_framework")
    assert "none of Django's DATABASES is this resource" in outcome.text


TWO = f"""
DATABASES = {{}}
for alias, variable in (("default", "DATABASE_URL"), ("notes", "NOTES_URL")):
    url = urlsplit(os.environ[variable])
    DATABASES[alias] = {AT_URL}
DATABASE_ROUTERS = ["router.Router"]
"""
OF_TWO = {
    "settings.py": SETTINGS + TWO,
    "pyproject.toml": configured("django")
    + """
        [tool.seatrial.resources.notes]
        kind = "postgres"
        schema = "django"
        role = "reader"
        env = "NOTES_URL"
        """,
    "router.py": """
        class Router:
            def db_for_read(self, model, **hints):
                return "notes" if model._meta.model_name == "session" else "default"

            db_for_write = db_for_read

            def allow_migrate(self, db, app_label, **hints):
                return (app_label == "sessions") == (db == "notes")
        """,
    "tests/test_two.py": """
        import pytest
        from django.contrib.auth.models import Group
        from django.db import connections

        @pytest.mark.django_db(databases=["default", "notes"], transaction=True)
        @pytest.mark.parametrize("attempt", range(2))
        def test_each_has_its_tables(attempt):
            Group.objects.create(name="mine")
            tables = {alias: set(connections[alias].introspection.table_names()) for alias in connections}
            assert "auth_group" in tables["default"] - tables["notes"]
            assert "django_session" in tables["notes"] - tables["default"]
            with connections["notes"].cursor() as cursor:
                cursor.execute("select distinct user = tableowner, user from pg_tables where schemaname = 'public'")
                assert cursor.fetchall() == [(False, "reader")]
        """,
}


def test_of_two_databases_each_gets_the_tables_that_the_router_allows_it_and_they_belong_to_its_owner(service, passes):
    service.write(OF_TWO)
    apps = SETTINGS.replace('"shop"]', '"shop", "django.contrib.sessions"]')
    service.write({"settings.py": apps + TWO})
    passes("-q", "-p", "pytest_django.plugin", "tests/test_two.py", passed=2)


def test_of_two_that_are_written_down_one_bears_the_name_of_its_resource_and_default_is_the_other(service, passes):
    service.write(OF_TWO)
    two = WRITTEN_DOWN.replace('{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}', AT_NOWHERE)
    apps = SETTINGS.replace('"shop"]', '"shop", "django.contrib.sessions"]')
    service.write({"settings.py": apps + two + 'DATABASE_ROUTERS = ["router.Router"]\n'})
    passes("-q", "-p", "pytest_django.plugin", "tests/test_two.py", passed=2)
