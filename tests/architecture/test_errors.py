"""An error has three parts: what happened, the probable cause, and what to type next."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from seatrial import errors

WHAT_TELLS_THE_CAUSE = {"ConfigError", "RequestError", "NoneFree", "NeedsClone", "SeatrialError"}
"""Raised for something that somebody wrote, which `what` quotes; NeedsClone is itself a reason."""
ITS_OWN_FIX = {"NeedsClone", "WebSocketClosed"}
"""What to do is the same wherever these are raised, and said by the class."""


@pytest.fixture(scope="module")
def raised(modules) -> list[tuple[str, str, dict[str, ast.expr]]]:
    """Where, which, and the parts of every error that is made in the source."""
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    classes = [node for module in modules for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
    while derived := {node.name for node in classes if {_name(base) for base in node.bases} & kinds} - kinds:
        kinds |= derived
    assert {"RequestError", "NoneFree", "ServerSpent"} <= kinds
    found = [each for module in modules for each in _made(module, kinds)]
    assert len(found) > 200, "errors are made in another way than they were"
    return found


def test_every_error_says_what_to_type_or_change(raised):
    assert [where for where, kind, parts in raised if kind not in ITS_OWN_FIX and not _said(parts, "fix")] == []


def test_every_error_says_its_cause_where_that_is_not_what_happened(raised):
    told = WHAT_TELLS_THE_CAUSE | ITS_OWN_FIX
    assert [where for where, kind, parts in raised if kind not in told and not _said(parts, "cause")] == []


def test_the_kinds_that_are_raised_without_a_fix_have_one():
    assert errors.NeedsClone("the test changed the schema").fix
    assert errors.WebSocketClosed().fix


def _made(module, kinds: set[str]) -> Iterator[tuple[str, str, dict[str, ast.expr]]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _name(node.func) in kinds:
            parts = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
            yield f"{module.at(node)} {_name(node.func)}", _name(node.func), parts


def _said(parts: dict[str, ast.expr], part: str) -> bool:
    said = parts.get(part)
    either = (said.body, said.orelse) if isinstance(said, ast.IfExp) else (said,)
    return said is not None and not any(isinstance(each, ast.Constant) and not each.value for each in either)


def _name(node: ast.expr) -> str:
    return getattr(node, "id", getattr(node, "attr", ""))
