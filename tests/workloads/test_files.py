"""Every file in `sql` is undone without a trace, and most of it without a clone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from seatrial.resources.kinds.postgres import store

from .lab import Lab
from .runner import Tally, play
from .split import Statement, split
from .workload import Workload, folder, read

DDL = "schema_changes"
"""The file whose tests are all DDL."""
FILES = folder(Path(__file__).parent / "sql")
CLONES = {
    "large_objects: write into one": "the baseline has large objects",
    "large_objects: delete one, make one": "the baseline has large objects",
    "large_objects: truncate one": "the baseline has large objects",
    "large_objects: rows only": "the same, where the log can't be read",
    "types: rows of a table without columns are deleted": "no column that a row could be given back to",
}
"""Tests without DDL that take a clone, and why."""
LIKE_DDL = {
    "maintenance: reindex": "REINDEX CONCURRENTLY makes a new index",
    "unlogged: fill the empty one": "a view that was not populated is",
    "unlogged: empty a filled one": "a populated view is so no longer",
}
"""Tests that change what the catalogs mean without a word of DDL."""


def leave_no_trace(lab: Lab, workload: Workload) -> Tally:
    """Each test of a file is undone."""
    tally = Tally()
    for test, back in play(lab, workload, strict=True):
        tally.add(test, back)
        assert not back.differences, f"{test.name}: {back}"
    if workload.name != DDL:
        assert {name for name, _ in tally.clones} <= CLONES.keys() | LIKE_DDL.keys()
    return tally


def test_every_file_leaves_no_trace_and_at_least_95_in_100_tests_that_write_are_undone_from_the_log(lab: Lab) -> None:
    """Counted: tests without DDL that wrote anything, by the path that they were undone by."""
    total = Tally()
    for workload in FILES:
        tally = leave_no_trace(lab, workload)
        if workload.name != DDL:
            tally.paths["clone"] -= len(LIKE_DDL.keys() & {name for name, _ in tally.clones})
            total.paths += tally.paths
    print(f"without DDL: {total}, {total.from_log:.1%} of those that wrote from the log")
    assert total.writers > 80
    assert total.from_log >= 0.95


@pytest.mark.parametrize("workload", FILES, ids=lambda workload: workload.name)
def test_a_file_leaves_no_trace_where_only_a_scan_can_tell(machine_lab: Lab, workload: Workload) -> None:
    tally = leave_no_trace(machine_lab, workload)
    assert (tally.paths["log"], tally.from_log) == (0, 0)


def test_where_the_log_is_not_read_nothing_counts_as_undone_from_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The count above can fail: the same server, the same tests, and a log that is not looked at."""
    asked = store.probe
    monkeypatch.setattr(store, "probe", lambda *links: replace(asked(*links), log="switched off"))
    workload = next(one for one in FILES if one.name == "identity")
    tally = leave_no_trace(lab, workload)
    assert tally.paths["scan"] == tally.writers > 0
    assert tally.from_log == 0


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("select 1; select 2;", ["select 1", "select 2"]),
        ("select ';' || $$;$$ || $a$ $$ ; $a$; select \"a;b\"", ["select ';' || $$;$$ || $a$ $$ ; $a$", 'select "a;b"']),
        ("select e'it\\'s; '; select 2", ["select e'it\\'s; '", "select 2"]),
        ("select 1 -- no; end\n; select 2", ["select 1 -- no; end", "select 2"]),
        ("/* a; /* b; */ c; */ select 1;", ["/* a; /* b; */ c; */ select 1"]),
        ("create rule r as on insert to t do (select 1; select 2); select 3", [
            "create rule r as on insert to t do (select 1; select 2)", "select 3"]),
        ("create function f() returns int begin atomic; select case when 1=1 then 1 end; end; select 2", [
            "create function f() returns int begin atomic; select case when 1=1 then 1 end; end", "select 2"]),
        ("\\d t\nselect 1;", ["select 1"]),
        ("select 1 \\gset\nselect 2;", ["select 1", "select 2"]),
        ("-- nothing\n;", []),
    ],
)  # fmt: skip
def test_a_script_is_cut_where_psql_cuts_it(script: str, expected: list[str]) -> None:
    assert [one.text for one in split(script)] == expected


def test_copy_takes_its_lines_along() -> None:
    assert list(split("copy t from stdin;\n1\ta;b\n\\.\nselect 1;")) == [
        Statement(text="copy t from stdin", data="1\ta;b\n"), Statement(text="select 1"),
    ]  # fmt: skip


def test_a_file_without_marks_is_divided_into_a_layer_and_the_runs_between_its_ddl(tmp_path: Path) -> None:
    path = tmp_path / "file.sql"
    path.write_text(
        "create table t (id int); insert into t values (1); select 1; create role r; alter table t add x int; delete from t"
    )
    workload = read(path)
    assert [one.text for one in workload.layer] == ["create table t (id int)", "alter table t add x int"]
    assert [len(test.statements) for test in workload.tests] == [2, 1]
    assert len(read(path, seeded=True).layer) == 3
