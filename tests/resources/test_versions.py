"""A program is asked for its version once, and says so when it tells none."""

from __future__ import annotations

import pytest

from seatrial.errors import ProviderError
from seatrial.resources.versions import Versions


@pytest.fixture
def program(tmp_path):
    """Makes a program that writes down each call and says something."""

    def make(words, to=1):
        path = tmp_path / "server"
        path.write_text(f"#!/bin/sh\necho called $1 >> {tmp_path}/calls\necho '{words}' >&{to}\n")
        path.chmod(0o755)
        return path

    return make


def test_it_is_asked_once(program, tmp_path):
    versions, server = Versions(r"server v(\d+\.\d+)", "version"), program("A Server v4.48 for Linux")
    assert [versions.of(server), versions.of(server)] == ["4.48", "4.48"]
    assert versions.words(server) == "A Server v4.48 for Linux"
    assert versions.match(server)[0] == "Server v4.48"
    assert (tmp_path / "calls").read_text() == "called version\n"


def test_a_program_that_tells_none_is_named_with_what_it_says(program):
    with pytest.raises(ProviderError) as caught:
        Versions(r"v(\d+)").of(program("no such option", to=2))
    assert caught.value.what.endswith("server --version does not print a version")
    assert caught.value.cause == "no such option"


def test_a_program_that_can_not_be_run_is_named(tmp_path):
    with pytest.raises(ProviderError) as caught:
        Versions(r"v(\d+)").of(tmp_path / "nothing")
    assert "can't be run" in caught.value.what
    assert "No such file" in caught.value.cause
