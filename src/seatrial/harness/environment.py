"""The variables that apps read: exported before any of the project's modules is imported."""

from __future__ import annotations

import os
from collections.abc import Mapping

from seatrial.core.ports import LOOPBACK
from seatrial.errors import ConfigError
from seatrial.harness.plan import Plan
from seatrial.resources.protocol import Address

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_PAST = ("no_proxy", "NO_PROXY")
"""Curl, requests and httpx read the first of them before the other, Go and Node either."""


def variables(templates: Mapping[str, str], address: Address) -> dict[str, str]:
    """What to export for a resource at `address`: each template with its fields filled in."""
    fields = address.fields()
    return {name: template.format_map(fields) for name, template in templates.items()}


def past_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """What to export so that apps reach servers and services of this machine where `environ` names a proxy."""
    if not any(environ.get(name) or environ.get(name.upper()) for name in _PROXIES):
        return {}
    past = next((environ[name] for name in _PAST if name in environ), "")
    named = [name for each in past.split(",") if (name := each.strip())]
    missing = [name for name in LOOPBACK if name not in named]
    return dict.fromkeys(_PAST, ",".join([*named, *missing])) if missing and "*" not in named else {}


def _named(text: str) -> str:
    """The loopback interface has several names: each by the first of them."""
    for other in LOOPBACK[1:]:
        text = text.replace(other, LOOPBACK[0])
    return text


class Environment:
    """Changes to this process's environment, which can be taken back."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}

    def export(self, values: Mapping[str, str]) -> None:
        """Set variables; a value of the shell's is replaced for the run."""
        for name, value in values.items():
            self._before.setdefault(name, os.environ.get(name))
            os.environ[name] = value

    def check(self, *plans: Plan) -> None:
        """Raises `ConfigError` where a variable that was exported for a resource leads elsewhere by now.

        It may have been written in another way: database, port and host tell where it leads.
        """
        for plan in plans:
            address = plan.address
            places = [place for place in (address.database, str(address.port or ""), _named(address.host)) if place]
            for name, value in plan.variables.items():
                if name not in self._before:
                    continue
                before, now = _named(value), _named(os.environ.get(name, ""))
                if now != before and any(place in before and place not in now for place in places):
                    raise ConfigError(
                        f"{name} was exported for {plan.name}, and leads elsewhere now",
                        cause="something that was imported has set it since, as `load_dotenv(override=True)` or a "
                        "conftest.py does: what reads it would write where nothing is undone",
                        fix="leave that out where tests run; if it is meant, have another variable exported, as in "
                        f'env = "TEST_{name}"',
                    )

    def restore(self) -> None:
        """Every variable is as it was before the first `export`."""
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before.clear()
