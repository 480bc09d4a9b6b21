"""What a test's markers say about its resources."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import pytest

from seatrial.config.explain import instead
from seatrial.errors import ConfigError


def isolations(
    item: pytest.Item,
    resources: Collection[str],
    valid: Collection[str],
    impossible: Callable[[str], Mapping[str, str]],
) -> dict[str, str]:
    """The isolation that `@pytest.mark.seatrial(NAME="clone")` asks for, by resource; the nearest marker wins.

    Args:
        item: the test.
        resources: those that there are.
        valid: the isolations that there are.
        impossible: by resource, the isolations that it can't have, each with the reason.

    Raises:
        ConfigError: an unknown resource or isolation, with the nearest that exists; or one that is not possible.
    """
    asked: dict[str, str] = {}
    for marker in reversed(list(item.iter_markers("seatrial"))):
        if marker.args:
            raise ConfigError(
                f"{item.nodeid}: @pytest.mark.seatrial takes no positional arguments, it has {marker.args!r}",
                fix=f'write @pytest.mark.seatrial({next(iter(resources), "db")}="clone")',
            )
        for name, value in marker.kwargs.items():
            _check(item, "resource", name, resources)
            _check(item, "isolation", value, valid)
            if value in (not_possible := impossible(name)):
                raise ConfigError(
                    f'{item.nodeid}: @pytest.mark.seatrial({name}="{value}") is not possible with that kind',
                    cause=not_possible[value],
                    fix=f'remove the marker, or write @pytest.mark.seatrial({name}="reset")',
                )
            asked[name] = value
    return asked


def _check(item: pytest.Item, what: str, value: object, valid: Collection[str]) -> None:
    if value not in valid:
        raise ConfigError(
            f"{item.nodeid}: @pytest.mark.seatrial names the {what} {value!r}, which does not exist",
            fix=instead(str(value), valid, of=f"{what}s") if valid else "add a table [tool.seatrial.resources.NAME]",
        )
