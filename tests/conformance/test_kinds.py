"""Every kind of ours keeps the promises that strangers' kinds are checked for."""

from __future__ import annotations

import socket
import sys
import tempfile
from dataclasses import replace

import pytest

from seatrial.resources import registry
from seatrial.resources.kinds.nats.program import NatsProgram
from seatrial.resources.kinds.sqlite.copy import SQLiteCopy
from seatrial.resources.kinds.sqlite.kind import SQLite
from seatrial.resources.kinds.sqlite.store import SQLiteStore
from seatrial.resources.protocol import SupportsLimits, SupportsRecycle, SupportsRollback, Undone
from seatrial.testing import Sample, checks
from seatrial.testing.capabilities import a_capability_is_there_whole_or_not_at_all

from .samples import SAMPLES


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", SAMPLES)
def test_the_kind_keeps_its_promise(name, check, sample):
    check(sample(name))


def test_every_kind_of_ours_is_checked():
    """`command` is not: what it keeps, and how that is undone, is the project's own affair."""
    ours = {point for point in registry.kinds() if registry.kind(point).__class__.__module__.startswith("seatrial.")}
    assert ours - {"command"} == set(SAMPLES)
    assert sys.modules["seatrial.testing"].__doc__


@pytest.mark.parametrize("name", SAMPLES)
def test_an_isolation_that_the_copies_can_not_have_is_refused_where_it_is_configured(name):
    kind = registry.kind(name)
    refused = set(kind.impossible) if isinstance(kind, SupportsLimits) else set()
    assert refused == (set() if SupportsRollback in SAMPLES[name]["capabilities"] else {"rollback"})


def broken(whole, **instead):
    """The same copy or store, with one method that does not keep its promise. Its class can all that it could before."""
    kind = type(whole)
    whole.__class__ = type(
        "Broken", (kind,), {"__slots__": ()} | {key: staticmethod(it) for key, it in instead.items()}
    )
    return whole


class Fickle:
    value = property(lambda self: object())

    def settle(self):
        pass

    renew = replace = close = settle


BROKEN_COPIES = {
    "undoes nothing": ("what_a_test_wrote_is_undone_again_and_again", {"undo": lambda: Undone(path="copy")}),
    "says that nothing was written": (
        "what_a_test_wrote_is_undone_again_and_again",
        {"undo": lambda: Undone(path="nothing")},
    ),
    "always undoes": ("a_test_that_only_reads_has_nothing_to_undo", {"undo": lambda: Undone(path="copy")}),
    "is deaf to late writes": ("a_late_write_is_named_and_undone", {"late_writes": tuple}),
    "clones nothing": ("a_clone_is_the_baseline_whatever_happened", {"renew": lambda: None}),
    "forgets its layers": ("a_layer_is_the_baseline_until_it_is_taken_away", {"push": lambda: None}),
    "gives a new client each time": ("a_fixture_is_one_object_from_first_test_to_last", {"client": Fickle}),
}


@pytest.mark.parametrize("how", BROKEN_COPIES)
def test_a_kind_that_breaks_a_promise_is_found_out(how, cache, monkeypatch):
    name, instead = BROKEN_COPIES[how]
    real = SQLiteStore.checkout
    monkeypatch.setattr(SQLiteStore, "checkout", lambda self, *asked: broken(real(self, *asked), **instead))
    [check] = [check for check in checks() if check.__name__ == name]
    with pytest.raises(AssertionError):
        check(Sample(kind=registry.kind("sqlite"), project=cache, **SAMPLES["sqlite"]))


TRIED_BY_WRITING = [
    "what_a_test_wrote_is_undone_again_and_again",
    "a_clone_is_the_baseline_whatever_happened",
    "a_layer_is_the_baseline_until_it_is_taken_away",
    "two_workers_do_not_see_each_other",
    "a_kept_copy_is_as_the_test_left_it",
]


@pytest.mark.parametrize("name", TRIED_BY_WRITING)
def test_a_sample_whose_writes_can_not_be_read_proves_nothing(cache, name):
    [check] = [check for check in checks() if check.__name__ == name]
    silent = SAMPLES["sqlite"] | {"write": lambda address: None}
    with pytest.raises(AssertionError, match="must change what"):
        check(Sample(kind=registry.kind("sqlite"), project=cache, **silent))


def test_a_kind_whose_copies_lack_one_method_of_a_capability_is_found_out(cache, monkeypatch):
    """Redis and NATS had no layers for want of `changed`, and whatever was about layers was passed over."""
    monkeypatch.delattr(SQLiteCopy, "changed")
    with pytest.raises(AssertionError, match="SQLiteCopy has pop and push of SupportsLayers, and lacks changed"):
        a_capability_is_there_whole_or_not_at_all(
            Sample(kind=registry.kind("sqlite"), project=cache, **SAMPLES["sqlite"])
        )


def test_a_kind_that_lacks_a_capability_which_it_is_said_to_have_is_found_out(cache):
    sample = Sample(kind=registry.kind("sqlite"), project=cache, **SAMPLES["sqlite"])
    with pytest.raises(AssertionError, match="the sample says that it has SupportsRecycle"):
        a_capability_is_there_whole_or_not_at_all(replace(sample, capabilities=(SupportsRecycle,)))


def test_a_kind_that_makes_a_folder_for_whoever_asks_for_an_address_is_found_out(cache, monkeypatch):
    real = SQLite.endpoint

    def endpoint(self, spec):
        tempfile.mkdtemp(prefix="drawer-")
        return real(self, spec)

    monkeypatch.setattr(SQLite, "endpoint", endpoint)
    [check] = [check for check in checks() if check.__name__ == "an_address_leaves_nothing_behind"]
    with pytest.raises(AssertionError, match="who only asked"):
        check(Sample(kind=registry.kind("sqlite"), project=cache, **SAMPLES["sqlite"]))


def says(endpoint, least):
    """Whether somebody listens there, and says so much when one connects."""
    try:
        with socket.create_connection((endpoint.admin.host, endpoint.admin.port)) as connection:
            return len(connection.recv(least)) == least
    except OSError:
        return False


@pytest.mark.parametrize("least", [0, 1])
def test_a_kind_that_takes_whoever_listens_for_a_server_that_is_ready_is_found_out(cache, monkeypatch, least):
    monkeypatch.setattr(NatsProgram, "answers", lambda self, endpoint: says(endpoint, least))
    [check] = [check for check in checks() if check.__name__ == "ready_is_who_answers_a_real_query"]
    with pytest.raises(AssertionError, match="is taken for ready"):
        check(Sample(kind=registry.kind("nats"), project=cache, **SAMPLES["nats"]))


def test_a_store_that_keeps_half_a_template_is_found_out(cache, monkeypatch):
    monkeypatch.setattr(SQLiteStore, "find", lambda self, key: True)
    names = ("a_template_is_made_once", "a_step_that_fails_leaves_no_template")
    for check in [check for check in checks() if check.__name__ in names]:
        with pytest.raises(AssertionError):
            check(Sample(kind=registry.kind("sqlite"), project=cache, **SAMPLES["sqlite"]))
