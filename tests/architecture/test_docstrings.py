"""What docstrings show can be typed as it stands there."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator

from seatrial import errors

CODE = re.compile(r"\s*(@\w|(async )?def \w|class \w+[:(]|import \w|from [\w.]+ import |with \w.*:$|>>> )")
"""A line of Python, and none of prose."""
BRANCH = re.compile(r"(?P<stem>.*)[├└]── (?P<name>\w+)")


def test_every_example_in_a_docstring_is_indented_and_compiles(modules):
    examples = [(where, example) for module in modules for where, example in _examples(module)]
    assert len(examples) >= 1, "the examples are written in another way than they were"
    for where, example in examples:
        assert example.startswith("    "), f"{where}: an example is indented below the prose around it"
        compile(textwrap.dedent(example), where, "exec")


def test_the_tree_in_the_docstring_of_errors_is_that_of_its_classes():
    lines = (errors.__doc__ or "").splitlines()
    start = next(number for number, line in enumerate(lines) if line.strip() == "SeatrialError")
    drawn, above = {}, [(lines[start].index("S"), "SeatrialError")]
    for line in lines[start + 1 :]:
        found = BRANCH.match(line)
        if found is None:
            break
        column = found.start("name")
        while above[-1][0] >= column:
            above.pop()
        drawn[found["name"]] = above[-1][1]
        above.append((column, found["name"]))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in kinds if kind is not errors.SeatrialError}


def _examples(module) -> Iterator[tuple[str, str]]:
    """Each paragraph of a docstring that has lines of Python, whole: without the blank lines around it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for paragraph in re.split(r"\n[ ]*\n", ast.get_docstring(node) or ""):
                if any(CODE.match(line) for line in paragraph.splitlines()):
                    yield module.at(node), paragraph.strip("\n")
