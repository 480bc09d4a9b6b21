"""The application is found by its import path, its interface by what it takes; mistakes are told apart."""

from __future__ import annotations

import functools
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import fastapi
import flask
import pytest
import starlette.applications
from starlette.middleware.gzip import GZipMiddleware

from seatrial.apps.inprocess import InProcess
from seatrial.apps.load import interface_of, load_app
from seatrial.errors import AppError, ConfigError, SeatrialError


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], object]]:
    """`load(reference, source)`: load from the module `shop.main` with this source."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()

    def load(reference: str, source: str) -> object:
        (package / "main.py").write_text(textwrap.dedent(source))
        return load_app(reference, tmp_path)

    yield load
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


FACTORY = """
    from fastapi import FastAPI

    made = []

    def create_app(title: str = "made", debug: bool = False):
        made.append(FastAPI(title=title, debug=debug))
        return made[-1]
"""


def test_an_application_object_is_taken_as_it_is(load):
    app = load("shop.main:app", "from fastapi import FastAPI\napp = FastAPI(title='shop')")
    assert app.title == "shop"


@pytest.mark.parametrize("reference", ["shop.main:create_app()", "shop.main:create_app"])
def test_a_factory_is_called_once_with_or_without_parentheses(load, reference):
    app = load(reference, FACTORY)
    assert app.title == "made"
    assert sys.modules["shop.main"].made == [app]


def test_a_plain_function_that_is_an_application_is_not_taken_for_a_factory(load):
    app = load("shop.main:app", "async def app(scope, receive, send): ...")
    assert app.__name__ == "app"


def message(error: SeatrialError) -> str:
    assert error.what
    assert error.fix
    return str(error)


def test_a_wrong_module_or_attribute_names_the_nearest(load):
    with pytest.raises(ConfigError) as caught:
        load("shop.mian:app", FACTORY)
    assert '"shop.main:app"' in message(caught.value)
    with pytest.raises(ConfigError) as caught:
        load("shop.main:creat_app", FACTORY)
    assert '"shop.main:create_app"' in message(caught.value)


def test_a_module_that_raises_shows_its_own_traceback_without_the_frames_of_others(load):
    with pytest.raises(AppError) as caught:
        load("shop.main:app", "import json\ndef settings():\n    return json.loads('{')\nsettings()")
    shown = message(caught.value)
    assert "shop/main.py" in shown
    assert "in settings" in shown
    assert "JSONDecodeError" in shown
    assert "json/decoder.py" not in shown
    assert "importlib" not in caught.value.cause


def test_a_factory_that_raises_shows_its_own_traceback(load):
    with pytest.raises(AppError) as caught:
        load("shop.main:create_app", "def create_app():\n    raise LookupError('no settings')")
    assert "in create_app" in message(caught.value)
    assert "no settings" in caught.value.cause


def test_something_else_than_an_application_names_the_application_beside_it(load):
    with pytest.raises(AppError) as caught:
        load("shop.main:router", "from fastapi import FastAPI\nrouter = 'x'\napi = FastAPI()")
    assert '"shop.main:router" gives a builtins.str, not an application' in message(caught.value)
    assert caught.value.fix == 'write "shop.main:api"'


def test_what_raises_whatever_is_asked_of_it_does_not_hide_what_is_wrong(tmp_path):
    """Flask's `request` is such an object, in the modules of most apps."""
    (tmp_path / "flaskshop.py").write_text("from flask import Flask, request\ndb = object()\napp = Flask(__name__)\n")
    with pytest.raises(AppError, match=r'"flaskshop:db" gives a builtins.object') as caught:
        load_app("flaskshop:db", tmp_path)
    assert caught.value.fix == 'write "flaskshop:app"'


def test_a_factory_that_needs_arguments_is_refused_with_its_signature(load):
    with pytest.raises(AppError) as caught:
        load("shop.main:create_app", "def create_app(config): ...")
    assert "create_app(config), not an application" in message(caught.value)


def test_a_factory_that_returns_nothing_is_told(load):
    with pytest.raises(AppError, match=r"gives a builtins\.NoneType"):
        load("shop.main:create_app", "def create_app(): ...")


@pytest.mark.parametrize("reference", ["shop.main:create_app()", "shop.main:create_app"])
def test_an_async_factory_is_refused_with_the_way_out(load, reference):
    with pytest.raises(AppError) as caught:
        load(reference, "async def create_app(): ...")
    assert "lifespan" in message(caught.value)


async def asgi(scope, receive, send): ...


async def asgi_with_defaults(scope, receive=None, send=None): ...


async def wrapped(*args, **kwargs): ...


def wsgi(environ, start_response): ...


def prefixed(prefix, environ, start_response): ...


class AwaitedAnswer:
    def __init__(self, scope, receive, send): ...

    def __await__(self): ...


class IteratedAnswer:
    def __init__(self, environ, start_response): ...

    def __iter__(self): ...


class Unrelated:
    def __init__(self, first, second): ...


def factory(config=None, debug=False): ...


def needs_a_keyword(environ, start_response, *, config): ...


@pytest.mark.parametrize(
    ("candidate", "interface"),
    [
        (fastapi.FastAPI(), "asgi"),
        (starlette.applications.Starlette(), "asgi"),
        (GZipMiddleware(asgi), "asgi"),
        (flask.Flask("shop"), "wsgi"),
        (flask.Flask("shop").wsgi_app, "wsgi"),
        (asgi, "asgi"),
        (asgi_with_defaults, "asgi"),
        (wrapped, "asgi"),
        (wsgi, "wsgi"),
        (functools.partial(prefixed, "/v1"), "wsgi"),
        (AwaitedAnswer, "asgi"),
        (IteratedAnswer, "wsgi"),
        (Unrelated, None),
        (factory, None),
        (needs_a_keyword, None),
        (fastapi.FastAPI, None),
        (ModuleType("shop"), None),
        ("shop.main:app", None),
        (print, None),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__) if not isinstance(value, str) else value,
)
def test_the_interface_is_told_by_the_arguments(candidate, interface):
    assert interface_of(candidate) == interface


def test_an_object_that_is_no_application_is_refused():
    with pytest.raises(AppError, match=r"A builtins.str is not an application") as caught:
        InProcess("shop.main:app")
    assert message(caught.value)
