"""Made-up suites, with layers, run in one isolation and another: each test begins where it should, and sees the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuse import EACH

import seatrial.isolation.choose
from seatrial.isolation.history import Seen

from .fleet import SORTS, Fleet
from .work import Work, do, is_comparable, look, work

OLD = sorted(Path("/usr/lib/postgresql").glob("1[45]/bin"))
"""Servers whose log can't be read."""
MEMORY = st.builds(
    Seen,
    isolation=st.sampled_from(["reset", "rollback", "clone"]),
    path=st.sampled_from(["log", "scan", "copy", "rollback", "clone", "nothing"]),
    milliseconds=st.just(50.0),
    why=st.sampled_from(["", "the schema was changed"]),
    past_rollback=st.sampled_from(["", "", "it failed in it last time"]),
    clones=st.sampled_from([0, 0, seatrial.isolation.choose.AGAIN]),
)
"""What a test may have done last time: whatever it is, it may be wrong."""


@dataclass(frozen=True, slots=True)
class One:
    """A test: what it does, what it does after a change, its isolation, and what is remembered of it."""

    works: tuple[Work, Work]
    isolation: str
    memory: Seen | None


@dataclass(frozen=True, slots=True)
class Layer:
    """A fixture of wider scope, and what is inside it."""

    work: Work
    inside: list[One | Layer]


@dataclass(slots=True)
class Story:
    """What each test of one run got, and whether it is to be compared."""

    got: dict[str, list[Any]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)


def suites(dialect: str) -> st.SearchStrategy[list[One | Layer]]:
    """A few tests, in layers or not."""
    isolations = ["reset", "clone", "auto", "auto"] + ["rollback"] * 2 * (dialect != "mysql")
    some = work(dialect, 3)
    one = st.builds(One, st.tuples(some, some), st.sampled_from(isolations), st.none() | MEMORY)
    return st.recursive(
        st.lists(one, min_size=1, max_size=2),
        lambda inside: st.lists(one | st.builds(Layer, work(dialect, 2), inside), min_size=1, max_size=3),
        max_leaves=6,
    )


@pytest.fixture(scope="module", params=SORTS)
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Each kind of database, for which a rollback is always worth trying."""
    if request.param == "postgres-by-scan" and not OLD:
        pytest.skip("no PostgreSQL 14 or 15 in /usr/lib/postgresql")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SEATRIAL_IDLE", "1")
        patch.setattr(seatrial.isolation.choose, "DEAR", 0.0)
        folder = tmp_path_factory.mktemp("project")
        patch.syspath_prepend(folder)
        made = Fleet(folder, SORTS[request.param])
        yield made
        made.close()


def run(fleet: Fleet, suite: list[One | Layer], baseline: Any, story: Story, which: int, *, only: str = "") -> Story:
    """Run all tests, in `only` one isolation or in their own: each begins at the baseline."""

    def inner(items: list[One | Layer], baseline: Any, path: str) -> None:
        for number, item in enumerate(items):
            name = f"{path}/{number}"
            if isinstance(item, Layer):
                there: list[Any] = []
                with fleet.layer(_written(fleet, item.work, there)):
                    inner(item.inside, there[0], name)
                continue
            isolation = only or item.isolation
            with fleet.one_test(name, isolation) as test:
                seen = look(fleet)
                story.got[name] = do(fleet, item.works[which])
            assert seen == baseline, f"{name} in {test.paths['db'].isolation} does not begin at its baseline"
            if test.told or "could not hold it" in test.paths["db"].reason or not is_comparable(story.got[name]):
                story.told.add(name)

    inner(suite, baseline, "test")
    return story


def _written(fleet: Fleet, planned: Work, there: list[Any]) -> Callable[[], None]:
    def write() -> None:
        do(fleet, planned)
        fleet.session().rollback()
        fleet.reconnect()
        there.append(look(fleet))

    return write


def memories(items: list[One | Layer], path: str = "test") -> Iterator[tuple[str, Seen]]:
    """What is remembered, by test."""
    for number, item in enumerate(items):
        if isinstance(item, Layer):
            yield from memories(item.inside, f"{path}/{number}")
        elif item.memory is not None:
            yield f"{path}/{number}", item.memory


@settings(max_examples=2 * EACH, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_whatever_isolation_a_test_has_it_begins_where_it_should_and_gets_the_answers_of_a_reset(fleet, data):
    """Chosen by what it did last time, too, and where it does something else now."""
    suite = data.draw(suites(fleet.sort.dialect))
    fleet.reconnect()
    with fleet.one_test("first", "reset"):
        baseline = look(fleet)
    real = [run(fleet, suite, baseline, Story(), which, only="reset") for which in (0, 1)]
    fleet.remember(dict(memories(suite)))
    for which in (0, 1, 1):
        other = run(fleet, suite, baseline, Story(), which)
        fleet.next_run()
        for name in other.got.keys() - other.told - real[which].told:
            assert other.got[name] == real[which].got[name]
