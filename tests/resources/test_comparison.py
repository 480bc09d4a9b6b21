"""The comparison that audits share sees every difference, names it, and is used by nobody who undoes anything."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import seatrial
from seatrial.resources.auditing.comparison import KEPT, SHOWN, Rows, Snapshot, differences

KINDS = Path(seatrial.__file__).parent / "resources" / "kinds"
MANY = [(number,) for number in range(KEPT + 1)]


def said(before, after, *, was=(), is_=()):
    return list(
        map(
            str,
            differences(
                Snapshot(values=dict(was), tables={name: Rows.of(rows) for name, rows in before.items()}),
                Snapshot(values=dict(is_), tables={name: Rows.of(rows) for name, rows in after.items()}),
            ),
        )
    )


def test_the_same_rows_in_another_order_are_no_difference():
    assert said({"t": [(1,), (2,), (2,)]}, {"t": [(2,), (1,), (2,)]}) == []


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(1,), (2,)], ["(2,) is missing"]),
        ([(1,), (2,), (2,), (3,)], ["(3,) is too many"]),
        ([(1,), (2,), (3,)], ["(2,) is missing", "(3,) is too many"]),
        ([(1.0,), (2,), (2,)], ["(1,) is missing", "(1.0,) is too many"]),
        ([("1",), (2,), (2,)], ["(1,) is missing", "('1',) is too many"]),
    ],
)
def test_rows_that_are_missing_or_too_many_are_shown(rows, told):
    shown = [f"rows t: {len(rows)} rows, 3 in the baseline", *(f"  {one}" for one in told)]
    assert said({"t": [(1,), (2,), (2,)]}, {"t": rows}) == ["\n".join(shown)]


def test_a_message_shows_a_few_rows_only():
    (told,) = said({"t": []}, {"t": MANY[:KEPT]})
    assert len(told.splitlines()) == 1 + SHOWN


def test_a_difference_in_a_large_table_is_seen_without_its_rows():
    assert said({"t": MANY}, {"t": [*MANY[:-1], (-1,)]}) == [f"rows t: {KEPT + 1} rows, {KEPT + 1} in the baseline"]


def test_what_is_new_gone_or_changed_is_named():
    was = {("view", "a"): "1", ("view", "b"): "2"}
    is_ = {("view", "b"): "3", ("view", "c"): "4"}
    assert said({}, {}, was=was, is_=is_) == ["view a: is gone: 1", "view b: was 2, is 3", "view c: is new: 4"]


def test_only_audits_use_it_so_that_no_mistake_is_shared_with_the_undo():
    users = set()
    for path in KINDS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("seatrial.resources.auditing"):
                users.add(path.relative_to(KINDS).as_posix())
    assert users == {"mysql/audit.py", "sqlite/audit.py"}
