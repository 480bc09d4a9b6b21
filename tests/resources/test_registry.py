"""Kinds and providers are found by name, ours and those of other packages."""

from __future__ import annotations

import sys

import pytest

from seatrial.errors import ConfigError
from seatrial.resources import registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Another package that brings a kind and a provider."""
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[seatrial.kinds]\nclickhouse = theirs:ClickHouse\nbroken = theirs:Nothing\n"
        "[seatrial.providers]\nalpine = theirs:Alpine\n"
    )
    (tmp_path / "theirs.py").write_text("class ClickHouse: name = 'clickhouse'\nclass Alpine: name = 'alpine'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("theirs", None)


def test_ours_are_there_in_the_order_in_which_they_are_asked():
    assert registry.providers()[:4] == ["embedded", "binary", "container", "url"]
    assert {"postgres", "sqlite"} <= set(registry.kinds())


@pytest.mark.parametrize("name", ["embedded", "binary", "container", "url"])
def test_each_provider_knows_its_own_name(name):
    assert registry.provider(name).name == name


def test_other_packages_bring_kinds_and_providers(package):
    assert "clickhouse" in registry.kinds()
    assert registry.kind("clickhouse").name == "clickhouse"
    assert registry.providers()[-1] == "alpine"
    assert registry.provider("alpine").name == "alpine"


@pytest.mark.parametrize(("name", "fix"), [("postgre", 'write kind = "postgres"'), ("SQLite", 'write kind = "sqlite"')])
def test_a_misspelt_kind_gets_the_nearest(name, fix):
    with pytest.raises(ConfigError) as caught:
        registry.kind(name)
    assert caught.value.what == f'there is no kind "{name}"'
    assert caught.value.fix == fix


def test_a_kind_that_can_t_be_loaded_says_from_where(package):
    with pytest.raises(ConfigError) as caught:
        registry.kind("broken")
    assert "theirs:Nothing" in caught.value.what
    assert "AttributeError" in caught.value.cause
