"""A run names the fixtures that take more than their share, without what these ask for themselves."""

from __future__ import annotations


def test_the_slow_one_is_named_and_not_who_asks_for_it(project):
    project.write(
        {
            "pyproject.toml": """
            [tool.seatrial.resources.db]
            kind = "sqlite"
            """,
            "test_slow.py": """
            import time
            import pytest

            class App:
                async def __call__(self, scope, receive, send): ...

            @pytest.fixture
            def app():
                time.sleep(0.6)
                return App()

            @pytest.fixture
            def users(request):
                return request.getfixturevalue("app")

            @pytest.mark.parametrize("attempt", range(2))
            def test_one(users, attempt): ...
            """,
        }
    )
    outcome = project.pytest()
    assert outcome.counts() == {"passed": 2}, outcome.text
    named = [line for line in outcome.text.splitlines() if line.startswith("slow set-up")]
    assert len(named) == 1, outcome.text
    assert "fixture app (test_slow.py:" in named[0]
    assert "2 times" in named[0]
    assert "it builds the app" in named[0]


def test_a_fixture_may_give_a_proxy_of_what_is_not_there_yet(project):
    project.write(
        {
            "pyproject.toml": """
            [tool.seatrial.resources.db]
            kind = "sqlite"
            """,
            "test_proxy.py": """
            import flask
            import pytest

            @pytest.fixture
            def current():
                return flask.current_app

            def test_current(current):
                with flask.Flask("shop").app_context():
                    assert current.name == "shop"
            """,
        }
    )
    outcome = project.pytest()
    assert outcome.counts() == {"passed": 1}, outcome.text
