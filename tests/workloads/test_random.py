"""Whatever an app does to whatever schema, the undo leaves nothing that the audit can find."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .lab import Bench, Lab
from .schemas import Reference, Schema, Table, schemas
from .steps import Players, Step, works, works_on_rows, works_with_ddl

# 200 examples in all by default, 10,000 with `--hypothesis-profile=nightly`.
SHARE = settings.default.max_examples if settings.default else 100
"""Examples of the profile: two of these are split over five tests, since a new schema costs more than work."""
ON_RICH, ON_PLAIN, WITH_DDL, ON_ANY, BY_A_LESSER_ROLE = (SHARE * share // 10 for share in (8, 5, 3, 3, 1))
ON_LAYERS = SHARE // 20
MOST_LAYERS = 3
CALM = {"deadline": None, "suppress_health_check": list(HealthCheck)}

RICH = Schema(
    tables=(
        Table(number=0, key="serial", kind="ordinary", generated="pure", trigger="origin", rows=300,
              references=(Reference(target=1, action="cascade", deferred="deferrable initially deferred"),)),
        Table(number=1, key="always", kind="ordinary", generated="", trigger="always", rows=7,
              references=(Reference(target=0, action="set null", deferred=""), Reference(target=1, action="cascade", deferred=""))),
        Table(number=2, key="by default", kind="partitioned", generated="", trigger="", rows=7, references=()),
        Table(number=3, key="plain", kind="unlogged", generated="", trigger="replica", rows=7, references=()),
    ),
    view=True,
    indexes=True,
)  # fmt: skip
"""Two tables in a circle, one in partitions, one unlogged; triggers of all three kinds."""


PLAIN = Schema(
    tables=(
        Table(number=0, key="serial", kind="ordinary", generated="pure", trigger="origin", rows=0,
              references=(Reference(target=1, action="cascade", deferred="deferrable initially deferred"),)),
        Table(number=1, key="always", kind="ordinary", generated="", trigger="", rows=0,
              references=(Reference(target=0, action="set null", deferred=""), Reference(target=1, action="cascade", deferred=""))),
        Table(number=2, key="by default", kind="partitioned", generated="", trigger="origin", rows=0, references=()),
        Table(number=3, key="plain", kind="ordinary", generated="", trigger="", rows=7, references=()),
    ),
    view=False,
    indexes=True,
)  # fmt: skip
"""What most of it takes is undone in one round trip: nearly all tables are empty."""


def try_out(bench: Bench, tests: list[list[Step]]) -> None:
    """One test after another, with the same pool of connections, each undone and audited."""
    players = Players(bench)
    try:
        for steps in tests:
            players.play(steps)
            players.check_in()
            back = bench.back()
            assert not back.differences, str(back)
    finally:
        players.close()


@pytest.fixture(scope="module")
def rich(lab: Lab) -> Iterator[Bench]:
    bench = lab.bench(lambda connection: connection.execute(RICH.sql().encode()), "rich")
    yield bench
    bench.close()


@settings(max_examples=ON_RICH, **CALM)
@given(tests=st.lists(works, min_size=1, max_size=2))
def test_no_work_on_a_rich_schema_leaves_a_trace(rich: Bench, tests: list[list[Step]]) -> None:
    try_out(rich, tests)


@pytest.fixture(scope="module")
def plain(lab: Lab) -> Iterator[Bench]:
    bench = lab.bench(lambda connection: connection.execute(PLAIN.sql().encode()), "plain")
    yield bench
    assert bench.at_once or not bench.store.abilities.near
    bench.close()


@settings(max_examples=ON_PLAIN, **CALM)
@given(tests=st.lists(works_on_rows, min_size=1, max_size=4))
def test_no_work_that_is_like_work_before_leaves_a_trace(plain: Bench, tests: list[list[Step]]) -> None:
    try_out(plain, tests)


@settings(max_examples=WITH_DDL, **CALM)
@given(tests=st.lists(works_with_ddl, min_size=1, max_size=2))
def test_no_change_of_the_schema_leaves_a_trace(rich: Bench, tests: list[list[Step]]) -> None:
    try_out(rich, tests)


@settings(max_examples=ON_ANY, **CALM)
@given(schema=schemas(), tests=st.lists(works, min_size=1, max_size=3))
def test_no_work_on_any_schema_leaves_a_trace(lab: Lab, schema: Schema, tests: list[list[Step]]) -> None:
    bench = lab.bench(lambda connection: connection.execute(schema.sql().encode()), "any")
    try:
        try_out(bench, tests)
    finally:
        bench.close()


@settings(max_examples=BY_A_LESSER_ROLE, **CALM)
@given(schema=schemas(superuser=False), tests=st.lists(works, min_size=1, max_size=3))
def test_no_work_is_left_by_a_role_that_may_silence_nothing(lab: Lab, schema: Schema, tests: list[list[Step]]) -> None:
    bench = lab.bench(lambda connection: connection.execute(schema.sql().encode()), "lesser", lesser=True)
    try:
        try_out(bench, tests)
    finally:
        bench.close()


moves = st.tuples(
    st.sampled_from(["test", "test", "push", "push", "pop"]), st.one_of(works_on_rows, works, works_with_ddl)
)


@settings(max_examples=ON_LAYERS, **CALM)
@given(
    case=st.one_of(st.tuples(schemas(), st.just(False)), st.tuples(schemas(superuser=False), st.just(True))),
    moves=st.lists(moves, min_size=2, max_size=7),
)
def test_no_work_on_layers_leaves_a_trace_and_no_layer_does(
    lab: Lab, case: tuple[Schema, bool], moves: list[tuple[str, list[Step]]]
) -> None:
    schema, lesser = case
    bench = lab.bench(lambda connection: connection.execute(schema.sql().encode()), "layers", lesser=lesser)
    players = Players(bench)
    try:
        for move, steps in moves:
            players.play(steps)
            players.check_in()
            if move == "push" and bench.layers < MOST_LAYERS:
                bench.push()
            elif move == "pop" and bench.layers:
                assert not bench.pop()
            else:
                back = bench.back()
                assert not back.differences, str(back)
        while bench.layers:
            assert not bench.pop()
    finally:
        players.close()
        bench.close()
