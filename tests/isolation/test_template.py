"""A template is made once, and anew where anything that made it is another."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from seatrial.isolation import template
from seatrial.resources.kinds.sqlite import SQLite
from seatrial.resources.protocol import Requirements, Target


@dataclass(frozen=True)
class Step:
    """Runs a statement; its hash may be any."""

    own: str
    sql: str = "CREATE TABLE t (a)"

    def hash(self) -> str:
        return self.own

    def migrate(self, target: Target) -> None:
        target.execute(self.sql)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "cache"))
    kind = SQLite()
    spec = kind.spec(Requirements.of(project=tmp_path))
    with contextlib.closing(kind.open(kind.endpoint(spec), spec)) as store:
        yield store


def test_the_second_to_ask_finds_the_template_of_the_same_steps(store) -> None:
    key, made = template.ensure(store, [Step("a")], "copy", "db")
    assert made
    assert template.ensure(store, [Step("a")], "copy", "db") == (key, False)


def test_no_other_steps_no_other_resource_and_no_other_name_have_its_key(store) -> None:
    steps = [[], ["a"], ["b"], ["a", "b"], ["b", "a"], ["ab"], ["named", "a"]]
    keys = [template.key([Step(own) for own in each], store, "db") for each in steps]
    keys += [template.key([Step("a")], store, "stats"), *(template.named(name, store) for name in ("b", "ab"))]
    assert len(set(keys)) == len(keys)
