"""A Litestar app's providers are exchanged for a test, in whichever layer they stand, and put back after it."""

from __future__ import annotations

import pytest
from litestar import Controller, Litestar, Router, get
from litestar.di import NamedDependency, Provide

from seatrial.apps.inprocess import InProcess
from seatrial.errors import AppError


async def session():
    yield "the app's"


def user(session: NamedDependency[str]) -> str:
    return f"user of {session}"


def settings() -> str:
    return "the app's settings"


class Things(Controller):
    path = "/things"
    dependencies = {  # noqa: RUF012 - as Litestar's users write it
        "user": Provide(user, sync_to_thread=True),
        "settings": Provide(settings, sync_to_thread=False),
    }

    @get("/")
    async def all(
        self, user: NamedDependency[str], session: NamedDependency[str], settings: NamedDependency[str]
    ) -> list[str]:
        return [user, session, settings]


@get("/plain", dependencies={"chosen": Provide(settings, sync_to_thread=False)})
async def plain(chosen: NamedDependency[str]) -> str:
    return chosen


@pytest.fixture
def app():
    api = Router("/api", route_handlers=[Things], dependencies={"session": session})
    target = Litestar([api, plain])
    app = InProcess(target)
    yield app
    app.close()


async def other_session():
    yield "the test's"


def test_a_dependency_is_replaced_in_each_layer_and_put_back(app):
    before = ["user of the app's", "the app's", "the app's settings"]
    assert app.client().get("/api/things/").json() == before
    app.override({session: other_session, user: lambda session: f"nobody, {session}", settings: lambda: "tested"})
    assert app.client().get("/api/things/").json() == ["nobody, the test's", "the test's", "tested"]
    assert app.client().get("/plain").text == "tested"
    app.restore()
    assert app.client().get("/api/things/").json() == before
    assert app.client().get("/plain").text == "the app's settings"


def test_a_test_that_begins_after_its_override_is_put_back_as_well(app):
    app.override({session: other_session})
    app.begin()
    assert app.client().get("/api/things/").json()[1] == "the test's"
    app.restore()
    assert app.client().get("/api/things/").json()[1] == "the app's"


def test_what_no_handler_depends_on_is_an_error(app):
    def nobodys(): ...

    with pytest.raises(AppError, match="can't override nobodys") as told:
        app.override({nobodys: settings})
    assert "by a provider" in str(told.value)
    assert "exported URL" in str(told.value)
