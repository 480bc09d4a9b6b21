"""Which tests use the app is told by what their module has of the app's modules."""

from __future__ import annotations

import pytest
from httpx import USE_CLIENT_DEFAULT

from seatrial.pytest_plugin.usage import Usage

HELD = USE_CLIENT_DEFAULT


def test_an_app_that_is_installed_among_the_libraries_is_known_by_its_own_objects(
    request: pytest.FixtureRequest,
) -> None:
    assert Usage({}, ("db",), ["httpx"], lambda _: ()).needs(request.node) == ("db",)
    assert Usage({}, ("db",), ["pytest"], lambda _: ()).needs(request.node) == ("db",), "the module itself is here"
    assert Usage({}, ("db",), ["no_such_module"], lambda _: ()).needs(request.node) == ()
