"""Code that waits for an import: it runs once, after the module's own, and leaves no trace."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seatrial.patches.applied import Applied
from seatrial.patches.when_imported import WhenImported


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "made_up_module.py").write_text("READY = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "made_up_module"
    sys.modules.pop("made_up_module", None)


def test_it_runs_after_the_modules_own_code(module: str) -> None:
    seen: list[Any] = []
    WhenImported(module, lambda found: seen.append(found.READY)).install()
    before = list(sys.meta_path)
    assert seen == []
    importlib.import_module(module)
    assert seen == [True]
    assert len(sys.meta_path) == len(before) - 1


def test_a_module_that_is_there_already_is_served_at_once() -> None:
    seen: list[Any] = []
    before = list(sys.meta_path)
    WhenImported("json", seen.append).install()
    assert seen == [json]
    assert sys.meta_path == before


def test_two_may_wait_for_the_same_module(module: str) -> None:
    seen: list[int] = []
    WhenImported(module, lambda found: seen.append(1)).install()
    WhenImported(module, lambda found: seen.append(2)).install()
    importlib.import_module(module)
    assert sorted(seen) == [1, 2]


def test_removed_it_does_nothing(module: str) -> None:
    seen: list[Any] = []
    before = list(sys.meta_path)
    watch = WhenImported(module, seen.append)
    watch.install()
    watch.remove()
    importlib.import_module(module)
    assert seen == []
    assert sys.meta_path == before


def test_the_module_keeps_its_own_loader(module: str) -> None:
    WhenImported(module, lambda found: None).install()
    found = importlib.import_module(module)
    assert type(found.__loader__).__name__ == "SourceFileLoader"
    assert found.__spec__ is not None
    assert found.__spec__.loader is found.__loader__


def test_a_module_that_does_not_exist_is_still_not_found() -> None:
    watch = WhenImported("no_such_module_at_all", lambda found: None)
    watch.install()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module_at_all")
    watch.remove()


def test_patches_are_named_and_undone_in_the_opposite_order() -> None:
    log: list[str] = []

    class Noted:
        def __init__(self, name: str) -> None:
            self.name = name

        def apply(self) -> None:
            log.append(f"+{self.name}")

        def undo(self) -> None:
            log.append(f"-{self.name}")

    applied = Applied([Noted("a"), Noted("b")])
    assert applied.names == ()
    with applied:
        assert applied.names == ("a", "b")
    assert log == ["+a", "+b", "-b", "-a"]
    assert applied.names == ()
