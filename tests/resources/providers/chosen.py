"""A server of any kind, from whoever has one on this machine."""

from __future__ import annotations

import sys

import pytest

from seatrial.errors import ProviderError
from seatrial.resources import registry
from seatrial.resources.protocol import Requirements
from seatrial.resources.resolve import resolve

COMMAND = {"command": f"{sys.executable} -I -m http.server --bind 127.0.0.1 {{port}}", "reset": "nothing"}


def described(name, project):
    """The specification of a server of that kind for a project."""
    return registry.kind(name).spec(Requirements(project=project, options=COMMAND if name == "command" else {}))


def provider_of(spec):
    """Whoever has such a server; the test is skipped where nobody has."""
    try:
        return resolve(spec).provider
    except ProviderError as error:
        pytest.skip(error.cause)
