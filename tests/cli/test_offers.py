"""What `seatrial doctor` offers, and what an error proposes, is accepted when it is typed: for every kind."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import metadata, requires
from pathlib import Path

import pytest

from seatrial.errors import ProviderError
from seatrial.resources import registry
from seatrial.resources.protocol import Requirements
from seatrial.resources.resolve import resolve

COMMAND = {"command": f"{sys.executable} -I -m http.server {{port}}", "reset": "nothing"}
KINDS = [name for name in registry.kinds() if name != "sqlite"]  # it has no server
TAKE_NO_URL = {"nats", "command"}


class Deaf:
    """A provider that can serve nobody."""

    name = "binary"

    def probe(self, spec):
        return "not here"

    def reserve(self, spec, port=0):
        raise AssertionError("resolving starts nothing")


def options(kind):
    return COMMAND if kind == "command" else {}


@pytest.fixture
def doctor(shape, monkeypatch, request, tmp_path_factory):
    """What `seatrial doctor --no-start` tells of a project with one resource of a kind."""
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path_factory.mktemp("cache")))

    def run(kind, **environ):
        keys = "".join(f"{key} = {json.dumps(value)}\n" for key, value in {"kind": kind, **options(kind)}.items())
        shape.files({"seatrial.toml": f"[resources.the_store]\n{keys}"})
        with monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            status, out, err = shape.run("doctor", "-C", str(shape.folder), "--no-start", "--json")
        assert (status, err) == (0, ""), err or out
        return json.loads(out)["resources"][0]

    return run


def skip_unless_served(kind):
    try:
        resolve(registry.kind(kind).spec(Requirements(project=Path("/project"), options=options(kind))))
    except ProviderError as error:
        pytest.skip(error.cause)


@pytest.mark.parametrize("kind", KINDS)
def test_what_doctor_offers_is_accepted(doctor, kind):
    skip_unless_served(kind)
    offered = {one["provider"]: one["change"] for one in doctor(kind)["providers"] if one["change"]}
    assert ("url" in offered) == (kind not in TAKE_NO_URL)
    for provider, change in offered.items():
        variable, value = re.search(r"(SEATRIAL_\w+)=(\S+)$", change).groups()
        assert doctor(kind, **{variable: value.replace("PORT", "1")})["provider"] == provider
        in_file = re.match(r'provider = "(\w+)" in \[resources\.the_store\]', change)
        assert in_file is None or in_file[1] == value


@pytest.mark.parametrize("kind", KINDS)
def test_who_can_not_serve_is_not_offered(doctor, kind):
    skip_unless_served(kind)
    told = doctor(kind)
    assert told["providers"]
    for one in told["providers"]:
        assert one["taken"] or one["refusal"] or one["change"], one
        if one["refusal"] and one["provider"] != "url":
            assert one["change"] == ""


@pytest.mark.parametrize("kind", KINDS)
def test_the_way_out_that_an_error_proposes_exists(kind):
    """An extra that it names is one of ours and brings the server; a `url` is proposed to a kind that takes one."""
    spec = registry.kind(kind).spec(Requirements(project=Path("/project"), options=options(kind)))
    with pytest.raises(ProviderError) as caught:
        resolve(spec, [Deaf()])
    assert ("`url`" in caught.value.fix) == (kind not in TAKE_NO_URL)
    extra = re.search(r"pip install 'seatrial\[(\w+)\]'", caught.value.fix)
    assert (extra is not None) == bool(spec.wheels)
    if extra is not None:
        assert extra[1] in metadata("seatrial").get_all("Provides-Extra")
        brought = [one for one in requires("seatrial") if f'extra == "{extra[1]}"' in one.replace("'", '"')]
        assert any(re.match(rf"{spec.wheels[0].distribution}\b", one) for one in brought)


def test_a_provider_that_is_named_and_can_not_serve_is_to_be_removed():
    """Nothing that somebody installs would be asked, as long as only this one is."""
    spec = registry.kind("mariadb").spec(Requirements(project=Path("/project")))
    with pytest.raises(ProviderError) as caught:
        resolve(spec, name="embedded")
    assert "there is no wheel with mariadb" in caught.value.cause
    assert "remove `provider`" in caught.value.fix
