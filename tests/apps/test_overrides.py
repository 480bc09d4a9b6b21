"""Overrides of dependencies: for one test, in every app that is one, and back exactly."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount

from seatrial.errors import AppError


def get_db() -> str:
    return "real"


def get_user() -> str:
    return "nobody"


def api() -> FastAPI:
    app = FastAPI()

    @app.get("/db")
    async def db(db: Annotated[str, Depends(get_db)], user: Annotated[str, Depends(get_user)]):
        return [db, user]

    return app


def test_a_replacement_is_used_in_this_test_and_gone_after_it(serve):
    app = serve(api())
    app.override({get_db: lambda: "test"})
    assert app.client().get("/db").json() == ["test", "nobody"]
    app.restore()
    assert app.client().get("/db").json() == ["real", "nobody"]


def test_a_replacement_is_used_in_mounted_apps_and_under_middleware_too(serve):
    inner = api()
    app = serve(GZipMiddleware(Starlette(routes=[Mount("/v1", app=inner)])))
    app.override({get_db: lambda: "test"})
    assert app.client().get("/v1/db").json() == ["test", "nobody"]
    app.restore()
    assert inner.dependency_overrides == {}


def test_the_projects_own_overrides_are_kept_and_a_replacement_comes_on_top(serve):
    target = api()
    target.dependency_overrides[get_user] = lambda: "admin"
    app = serve(target)
    app.override({get_db: lambda: "test"})
    assert app.client().get("/db").json() == ["test", "admin"]
    app.restore()
    assert app.client().get("/db").json() == ["real", "admin"]


@pytest.mark.parametrize("how", ["added", "cleared", "assigned", "overwritten"])
def test_what_a_test_does_to_the_overrides_never_outlives_it(serve, how):
    target = api()
    own = target.dependency_overrides
    admin = lambda: "admin"  # noqa: E731 - its identity is compared
    own[get_user] = admin
    app = serve(target)
    app.begin()
    if how == "added":
        target.dependency_overrides[get_db] = lambda: "mine"
    elif how == "cleared":
        target.dependency_overrides.clear()
    elif how == "assigned":
        target.dependency_overrides = {get_db: lambda: "mine"}
    else:
        target.dependency_overrides[get_user] = lambda: "somebody"
    app.restore()
    assert target.dependency_overrides is own
    assert own == {get_user: admin}


def test_overrides_that_a_wider_fixture_added_before_the_test_began_are_kept(serve):
    target = api()
    app = serve(target)
    app.begin()
    app.restore()
    target.dependency_overrides[get_user] = lambda: "of the module"
    app.begin()
    app.override({get_db: lambda: "test"})
    app.restore()
    assert list(target.dependency_overrides) == [get_user]


def test_a_test_may_begin_after_its_replacements_were_made(serve):
    """pytest sets fixtures of wider scope up after the hook in which the harness overrides."""
    target = api()
    own = lambda: "of the project"  # noqa: E731 - its identity is compared
    of_module = lambda: "of the module"  # noqa: E731 - its identity is compared
    target.dependency_overrides[get_db] = own
    app = serve(target)
    app.override({get_db: lambda: "test"})
    target.dependency_overrides[get_user] = of_module
    app.begin()
    target.dependency_overrides[api] = api
    assert app.client().get("/db").json() == ["test", "of the module"]
    app.restore()
    assert target.dependency_overrides == {get_db: own, get_user: of_module}


def test_what_a_wider_fixture_takes_back_after_the_test_stays_gone(serve):
    target = api()
    app = serve(target)
    target.dependency_overrides[get_user] = lambda: "of the module"
    app.begin()
    app.restore()
    del target.dependency_overrides[get_user]
    app.restore()
    assert target.dependency_overrides == {}


def test_an_app_without_overrides_says_what_to_do(serve):
    with pytest.raises(AppError, match=r"starlette.applications.Starlette, can't override get_db") as caught:
        serve(Starlette()).override({get_db: lambda: "test"})
    assert "remove `override`" in caught.value.fix


def test_an_app_without_overrides_needs_none(serve):
    app = serve(Starlette())
    app.override({})
    app.restore()
