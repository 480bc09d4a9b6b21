"""The fixtures, named after the resources: they are made at run time, as the attributes of a plugin module."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Literal, Protocol

import pytest

from seatrial.errors import SeatrialError
from seatrial.harness.harness import Harness
from seatrial.pytest_plugin.plain import plain_errors

OWN_PART = "seatrial_test"
"""The fixture that encloses each test's own part."""
_WIDEST_FIRST = ("session", "package", "module", "class", "function")
CLIENTS = ("client", "async_client", "live_app")
"""Those that are of the app."""


class Running(Protocol):
    """Who begins and ends tests."""

    def begin(self) -> None:
        """The running test's own part begins: its fixtures of wider scope are set up."""
        ...

    def end(self) -> None:
        """It is over: the test's own fixtures are gone, those of wider scope are still there."""
        ...

    def tell(self, error: SeatrialError) -> str:
        """An error in words: in full to the first test that meets it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """What a fixture gives, and for how long."""

    doc: str
    ask: Callable[[], Any]
    scope: Literal["session", "function"] = "function"

    def fixture(self, name: str, tell: Callable[[SeatrialError], str]) -> Any:
        """The fixture itself."""

        def give() -> Any:
            with plain_errors(tell):
                return self.ask()

        return self._named(name, give)

    def alias(self, name: str, of: str) -> Any:
        """A second name of it: whoever asks for both gets the same object."""

        def give(request: pytest.FixtureRequest) -> Any:
            return request.getfixturevalue(of)

        return self._named(name, give)

    def _named(self, name: str, give: Callable[..., Any]) -> Any:
        give.__doc__, give.__name__ = self.doc, name
        return pytest.fixture(name=name, scope=self.scope)(give)


def fixture_module(harness: Harness, running: Running, *, with_app: bool, taken: Iterable[str]) -> ModuleType:
    """A plugin module with a fixture for each resource, and for the app; and one that encloses each test's own part.

    Each is there as `seatrial_NAME`; the short name steps aside where an installed plugin has one of that
    name (`taken`), and a fixture of the project wins anyway, because conftest files are nearer to a test.
    """
    module = ModuleType("seatrial_fixtures", "Fixtures of the resources that the configuration names.")
    stepping_aside = set(taken)
    recipes = dict(_of_resources(harness))
    if with_app:
        recipes |= _of_app(harness)
    setattr(module, OWN_PART, _own_part(running))
    recipes |= _of_services(harness)
    if with_app or harness.services.names:
        told = "The HTTP exchanges of this test: a list that grows."
        recipes["exchanges"] = _Recipe(doc=told, ask=lambda: harness.exchanges)
    for name, recipe in recipes.items():
        long = f"seatrial_{name}"
        setattr(module, long, recipe.fixture(long, running.tell))
        if name not in stepping_aside:
            setattr(module, name, recipe.alias(name, of=long))
    return module


def _of_resources(harness: Harness) -> Iterator[tuple[str, _Recipe]]:
    for name, managed in harness.resources.items():
        what = f"the {managed.plan.kind.name} resource {name}"
        session = f"The session on {what}: the same object for each test and for fixtures of wider scope."
        yield name, _Recipe(doc=session, ask=partial(harness.session, name), scope="session")
        told = f"The URL of {what}, for any driver: the same from the first test to the last."
        yield f"{name}_url", _Recipe(doc=told, ask=partial(harness.url, name), scope="session")
        told = f"The statements that drivers sent to {what} in this test: a list that grows."
        yield f"{name}_statements", _Recipe(doc=told, ask=partial(harness.statements, name))


def _of_app(harness: Harness) -> dict[str, _Recipe]:
    return {
        "client": _Recipe(
            doc="An HTTP client of the app, in this process: its errors are raised.", ask=lambda: harness.app().client()
        ),
        "async_client": _Recipe(doc="The same client for async tests.", ask=lambda: harness.app().async_client()),
        "live_app": _Recipe(
            doc="The app on a real socket: its `base_url`, and a `client` of it.", ask=lambda: harness.app().live()
        ),
    }


def _of_services(harness: Harness) -> dict[str, _Recipe]:
    return {
        name: _Recipe(doc=f"An HTTP client of the service {name}.", ask=partial(harness.service, name))
        for name in harness.services.names
    }


def take(item: pytest.Item, name: str) -> None:
    """Let a test take a fixture as if it were its argument: before `put_first`, which says when it is set up.

    For one that a plugin asks for while the test is running, although it outlives the test.
    """
    found = getattr(item, "fixturenames", None)
    asked = getattr(item, "_fixtureinfo", None)
    if not isinstance(found, list) or asked is None or name in found:
        return
    manager = item.session._fixturemanager  # noqa: SLF001 - the only way from a name to what it means for one test
    definitions = manager.getfixturedefs(name, item)
    if definitions:
        asked.name2fixturedefs[name] = definitions
        found.append(name)


def put_first(item: pytest.Item) -> None:
    """Let the own part of a test enclose all of its own fixtures, those that installed plugins run by themselves too.

    pytest-django opens its transaction in one of these: it must be over when the test is. A fixture of class scope
    lives as long as its one test where that is in no class, and pytest-django has one that each test takes. And one of
    any scope may be given its parameter for one test: `parametrize("stock, n", ..., indirect=["stock"])` does.
    """
    found = getattr(item, "fixturenames", None)
    asked = getattr(item, "_fixtureinfo", None)  # there is no public way to the scope of what a test asks for
    if not isinstance(found, list) or OWN_PART not in found or asked is None:
        return

    narrowed = getattr(getattr(item, "callspec", None), "_arg2scope", {})  # no more is there to this one
    of_one = {"function"} if item.getparent(pytest.Class) is not None else {"function", "class"}

    def scope(name: str) -> str:
        definitions = asked.name2fixturedefs.get(name)
        return definitions[-1].scope if definitions else "function"

    def own(name: str) -> bool:
        return scope(name) in of_one or (name in narrowed and narrowed[name].value in of_one)

    others = [name for name in found if name != OWN_PART]
    wider = [name for name in others if name == "request" or not own(name)]
    wider.sort(key=lambda name: _WIDEST_FIRST.index(scope(name)))  # pytest has sorted them, but not what was added
    found[:] = [*wider, OWN_PART, *(name for name in others if name not in wider)]


def names(harness: Harness, *, with_app: bool) -> dict[str, tuple[str, ...]]:
    """Every fixture's name, long and short, with the resources that a test uses by asking for it."""
    everything = tuple(harness.resources)
    uses: dict[str, tuple[str, ...]] = {}
    for name in harness.resources:
        uses[name] = uses[f"{name}_url"] = uses[f"{name}_statements"] = (name,)
    if with_app:
        uses |= dict.fromkeys(CLIENTS, everything)
    for name in harness.services.names:
        uses[name] = harness.services.resources(name)
    if with_app or harness.services.names:
        uses["exchanges"] = ()
    return uses | {f"seatrial_{name}": resources for name, resources in uses.items()}


def taken_by_plugins(config: pytest.Config, wanted: Iterable[str]) -> set[str]:
    """Those of the names that an installed plugin already has a fixture for: pytest-django's `db`."""
    named = config.pluginmanager.list_name_plugin()
    # A conftest file goes by its path: its fixtures are those of the tests beside it, and no others.
    plugins = [each for name, each in named if not name.endswith("conftest.py") and not _dormant(each)]
    return {name for plugin in plugins for name in _called(plugin)}.intersection(wanted)


def _called(plugin: object) -> Iterator[str]:
    """What pytest calls the fixtures of a plugin: a module, an object or a class."""
    kind: Any = type(pytest.fixture(lambda: None))
    for holder in (plugin, *inspect.getmro(plugin if isinstance(plugin, type) else type(plugin))):
        for attribute, value in getattr(holder, "__dict__", {}).items():
            if type(value) is kind:  # `isinstance` would ask a lazy object what it is
                marker = value._fixture_function_marker  # noqa: SLF001 - as pytest: `value.name` may be the function's
                yield marker.name or attribute


def _dormant(plugin: object) -> bool:
    """Whether a plugin is installed but not used here: without settings pytest-django skips whoever asks for `db`."""
    if not getattr(plugin, "__name__", "").startswith("pytest_django"):
        return False
    django = sys.modules.get("django.conf")
    return not os.environ.get("DJANGO_SETTINGS_MODULE") and not (django and django.settings.configured)


def _own_part(running: Running) -> Any:
    def seatrial_test() -> Iterator[None]:  # without `request`, which pytest makes anew for each test, twice
        """A test's own part: after the fixtures of wider scope, before all others. It is undone when it ends."""
        running.begin()
        yield
        running.end()

    return pytest.fixture(autouse=True)(seatrial_test)
