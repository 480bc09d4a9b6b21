"""The variables that a run exports, and takes back."""

from __future__ import annotations

import os
import urllib.request

import pytest

from seatrial.harness.environment import Environment, past_proxies


@pytest.fixture
def environment(monkeypatch):
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    made = Environment()
    yield made
    made.restore()


@pytest.mark.parametrize("proxy", ["HTTP_PROXY", "all_proxy"])
@pytest.mark.parametrize("but", [{}, {"no_proxy": "intern.example"}, {"NO_PROXY": "intern.example"}])
def test_what_runs_on_this_machine_is_not_asked_through_the_proxy_of_the_environment(
    environment, monkeypatch, proxy, but
):
    monkeypatch.setenv(proxy, "http://proxy.example:3128")
    for name, value in but.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    environment.export(past_proxies(os.environ))
    for host in ("127.0.0.1:5000", "localhost", *but.values()):
        assert urllib.request.proxy_bypass_environment(host), host
    assert not urllib.request.proxy_bypass_environment("api.example")
    environment.restore()
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"NO_PROXY": "intern.example"},
        {"http_proxy": "http://proxy.example:3128", "no_proxy": "*"},
        {"http_proxy": "http://proxy.example:3128", "no_proxy": "::1, localhost,127.0.0.1"},
        {"http_proxy": ""},
    ],
)
def test_nothing_is_exported_where_no_proxy_stands_in_the_way(variables):
    assert past_proxies(variables) == {}
