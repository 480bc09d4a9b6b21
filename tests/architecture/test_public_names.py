"""What others may rely on: the list changes only when somebody means it to.

After a change that is meant: `make docs`, and an entry in the changelog.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Iterator
from pathlib import Path

LIST = Path(__file__).with_name("public_names.txt")
MODULES = ("seatrial", "seatrial.errors", "seatrial.events", "seatrial.testing")
JOINTS = (
    "seatrial.resources.protocol",
    "seatrial.isolation.protocol",
    "seatrial.sessions.protocol",
    "seatrial.apps.protocol",
    "seatrial.harness.protocol",
)
FOR_PROVIDERS = ("seatrial.resources.providers.local.Binaries", "seatrial.resources.providers.local.reserve")
"""What a provider of somebody else's calls, as docs/extending.md shows."""


def test_the_public_names_are_those_on_the_list():
    names = [*_python(), *_configuration(), *_command_line(), *_pytest()]
    if os.environ.get("SEATRIAL_WRITE_DOCS"):
        LIST.write_text("\n".join(names) + "\n")
    assert LIST.read_text().splitlines() == names


def _python() -> Iterator[str]:
    for module in MODULES:
        found = importlib.import_module(module)
        mine = getattr(found, "__all__", None) or [n for n, it in vars(found).items() if _made_in(it, module)]
        yield from (f"{module}.{name}" for name in sorted(mine))
    for name in FOR_PROVIDERS:
        assert hasattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2])
        yield name
    for module in JOINTS:
        found = importlib.import_module(module)
        listed = getattr(found, "__all__", ())
        for name, it in sorted(vars(found).items()):
            if (name in listed or _made_in(it, module)) and inspect.isclass(it):
                yield f"{module}.{name}"
                yield from (f"{module}.{name}.{member}" for member in _members(it))


def _made_in(thing: object, module: str) -> bool:
    return getattr(thing, "__module__", None) == module and not getattr(thing, "__name__", "_").startswith("_")


def _members(kind: type) -> list[str]:
    members = {*getattr(kind, "__annotations__", {}), *vars(kind)}
    return sorted(name for name in members if not name.startswith("_"))


def _configuration() -> Iterator[str]:
    from seatrial.config import keys

    yield from (f"[tool.seatrial] {key}" for key in sorted(keys.TOP))
    yield from (f"[tool.seatrial.resources.NAME] {key}" for key in sorted(keys.RESOURCE))
    yield from (f"[tool.seatrial.services.NAME] {key}" for key in sorted(keys.SERVICE))


def _command_line() -> Iterator[str]:
    from seatrial.cli.main import COMMANDS

    yield from (f"seatrial {name}" for name in sorted(COMMANDS))


def _pytest() -> Iterator[str]:
    import pytest

    from seatrial import pytest_plugin

    parser = pytest.Parser(_ispytest=True)
    pytest_plugin.pytest_addoption(parser)
    yield from sorted(
        f"pytest {name}" for group in parser._groups for option in group.options for name in option.names()
    )
