"""A project's own `django_db_setup`, which pytest-django asks for in the middle of a test that only has the marker."""

from __future__ import annotations

from tests.stacks.test_django import DJANGO, FROM_ENVIRONMENT, PROJECT, SETTINGS, configured


def test_data_that_a_projects_own_django_db_setup_loads_is_loaded_once_and_is_there_for_every_test(project):
    project.write({name: text for name, text in PROJECT.items() if not name.startswith("tests/")})
    project.write(
        {
            "settings.py": SETTINGS + FROM_ENVIRONMENT,
            "pyproject.toml": configured("django"),
            "tests/conftest.py": """
                import pytest

                @pytest.fixture(scope="session")
                def django_db_setup(django_db_setup, django_db_blocker):
                    from django.contrib.auth.models import Group

                    print("LOADED")
                    with django_db_blocker.unblock():
                        Group.objects.create(name="loaded")
                """,
            "tests/test_groups.py": """
                import pytest
                from django.contrib.auth.models import Group
                from django.test import TestCase

                @pytest.fixture(scope="module", autouse=True)
                def stock(django_db_blocker):
                    with django_db_blocker.unblock():
                        Group.objects.create(name="of the module")

                @pytest.mark.django_db
                @pytest.mark.parametrize("attempt", range(2))
                def test_in_a_transaction(attempt):
                    assert set(Group.objects.values_list("name", flat=True)) == {"seeded", "loaded", "of the module"}
                    Group.objects.all().delete()

                @pytest.mark.django_db(transaction=True)
                @pytest.mark.parametrize("attempt", range(2))
                def test_that_commits(attempt):
                    assert set(Group.objects.values_list("name", flat=True)) == {"seeded", "loaded", "of the module"}
                    Group.objects.all().delete()

                class TestOfAClass(TestCase):
                    def test_one(self):
                        assert set(Group.objects.values_list("name", flat=True)) == {"seeded", "loaded", "of the module"}

                def test_without_a_database():
                    pass
                """,
        }
    )
    outcome = project.pytest(*DJANGO, "-s", "-p", "no:randomly")
    assert outcome.counts() == {"passed": 6}, outcome.text
    assert outcome.text.count("LOADED") == 1
    assert "first requested while a test was running" not in outcome.text
