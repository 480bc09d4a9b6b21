"""A server of any kind, from whoever has one on this machine."""

from __future__ import annotations

import sys

import pytest

from seatrial.errors import ProviderError
from seatrial.resources import registry
from seatrial.resources.protocol import Requirements
from seatrial.resources.resolve import resolve


def keys(name, python=sys.executable):
    """The keys without which a resource of that kind is not complete. The program of a `command` runs on `python`."""
    if name != "command":
        return {}
    return {"command": f"{python} -I -m http.server --bind 127.0.0.1 {{port}}", "reset": "nothing"}


def described(name, project):
    """The specification of a server of that kind for a project."""
    return registry.kind(name).spec(Requirements.of(project=project, **keys(name)))


def provider_of(spec):
    """Whoever has such a server; the test is skipped where nobody has."""
    try:
        return resolve(spec).provider
    except ProviderError as error:
        pytest.skip(error.cause)
