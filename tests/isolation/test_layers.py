"""Layers lie on each other in the order of their fixtures; one that lies under another waits for it."""

from __future__ import annotations

import pytest

from seatrial.errors import IsolationError
from seatrial.isolation.audit import Audit
from seatrial.isolation.layers import Layers
from seatrial.resources.kinds.sqlite.audit import Audit as Reading

from .test_strategies import copy, rows, write

__all__ = ["copy"]


@pytest.fixture
def audit(copy) -> Audit:
    audit = Audit("db", Reading(copy.address.database))
    audit.start()
    return audit


@pytest.fixture
def layers(copy, audit: Audit) -> Layers:
    return Layers(copy, audit)


def test_a_fixture_that_wrote_nothing_makes_no_layer(layers: Layers) -> None:
    assert not layers.lay("one", "one")
    assert not layers
    assert not layers.lift("one")


def test_each_layer_is_the_baseline_and_goes_with_its_owner_and_the_audit_knows(
    copy, layers: Layers, audit: Audit
) -> None:
    for number, owner in ((2, "session"), (3, "module")):
        write(copy, f"INSERT INTO t VALUES ({number})")
        assert layers.lay(owner, owner)
    write(copy, "DELETE FROM t")
    assert "rows t" in str(audit.check("test_a", ()))
    copy.undo()
    assert (rows(copy), audit.check("test_a", ())) == ([1, 2, 3], None)
    for owner, left in (("module", [1, 2]), ("session", [1])):
        assert layers.lift(owner)
        assert (rows(copy), audit.check("test_a", ())) == (left, None)


def test_a_layer_under_another_one_is_refused_by_name_and_goes_with_it(copy, layers: Layers) -> None:
    for number, owner in ((2, "below"), (3, "above")):
        write(copy, f"INSERT INTO t VALUES ({number})")
        layers.lay(owner, owner)
    with pytest.raises(IsolationError, match="below was torn down before above") as told:
        layers.lift("below")
    assert told.value.fix == "let above ask for below: pytest then tears it down first"
    assert rows(copy) == [1, 2, 3]
    layers.lift("above")
    assert (rows(copy), bool(layers)) == ([1], False)


def test_what_could_not_be_put_back_of_layers_is_told_once_and_all_of_them_are_gone(
    copy, layers: Layers, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, owner in ((2, "below"), (3, "above")):
        write(copy, f"INSERT INTO t VALUES ({number})")
        layers.lay(owner, owner)
    with pytest.raises(IsolationError, match="below was torn down before above"):
        layers.lift("below")
    pop, told = copy.pop, iter(["the role of above stays", "the role of below stays"])

    def replaced() -> None:
        pop()
        write(copy, "INSERT INTO t VALUES (9)")  # as what stays of a server that is shared
        raise IsolationError(next(told), cause="", fix="")

    monkeypatch.setattr(copy, "pop", replaced)
    with pytest.raises(IsolationError, match="the role of above stays"):
        layers.lift("above")
    assert (rows(copy), bool(layers), list(told)) == ([1, 9], False, [])
    assert audit.check("test_a", ()) is None


def test_a_layer_that_is_interrupted_while_it_is_laid_is_none(
    copy, layers: Layers, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the time-out of a test."""

    def interrupt() -> None:
        monkeypatch.undo()
        raise TimeoutError

    monkeypatch.setattr(audit, "push", interrupt)
    write(copy, "INSERT INTO t VALUES (2)")
    with pytest.raises(TimeoutError):
        layers.lay("one", "one")
    assert (rows(copy), bool(layers), audit.check("test_a", ())) == ([1], False, None)
    write(copy, "INSERT INTO t VALUES (3)")
    assert layers.lay("two", "two")
    assert (rows(copy), audit.check("test_a", ())) == ([1, 3], None)
