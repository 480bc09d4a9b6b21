"""Of several apps, each gets the replacements that it can have; what none of them can have is an error."""

from __future__ import annotations

import flask
import pytest
from fastapi import FastAPI
from litestar import Litestar, get
from litestar.di import NamedDependency, Provide

from seatrial.apps.dependencies.owners import Owners
from seatrial.errors import AppError


def get_db() -> str:
    return "real"


def get_levels() -> str:
    return "real"


def instead() -> str:
    return "test"


@get("/", dependencies={"levels": Provide(get_levels, sync_to_thread=False)})
async def level(levels: NamedDependency[str]) -> str:
    return levels


@pytest.fixture
def apps(serve):
    return {
        "orders": serve(FastAPI()),
        "stock": serve(Litestar([level])),
        "mails": serve(flask.Flask("mails"), "wsgi"),
    }


def test_an_app_that_can_t_have_a_replacement_is_left_as_it_is_where_another_may_have_it(apps):
    owners = Owners({"db": ["orders", "stock", "mails"], "levels": ["stock", "mails"]})
    for _ in range(2):
        owners.override("mails", apps["mails"], {"db": {get_db: instead}, "levels": {get_levels: instead}})
        owners.override("stock", apps["stock"], {"db": {get_db: instead}, "levels": {get_levels: instead}})
        owners.override("orders", apps["orders"], {"db": {get_db: instead}})
        assert apps["stock"].client().get("/").text == "test"
        assert apps["orders"].target.dependency_overrides == {get_db: instead}
        for app in apps.values():
            app.restore()


def test_what_none_of_them_can_have_is_told_as_soon_as_each_was_asked(apps):
    owners = Owners({"db": ["stock", "mails"]})
    owners.override("mails", apps["mails"], {"db": {get_db: instead}})
    with pytest.raises(AppError, match="can't override get_db"):
        owners.override("stock", apps["stock"], {"db": {get_db: instead}})
    with pytest.raises(AppError, match="can't override get_db"):
        owners.override("mails", apps["mails"], {"db": {get_db: instead}})


def test_the_only_app_that_may_have_it_is_told_at_once(apps):
    with pytest.raises(AppError, match="can't override get_db"):
        Owners({"db": ["mails"]}).override("mails", apps["mails"], {"db": {get_db: instead}})


def test_a_resource_without_a_replacement_asks_nothing_of_an_app(apps):
    Owners({"db": ["mails"]}).override("mails", apps["mails"], {"db": {}})
