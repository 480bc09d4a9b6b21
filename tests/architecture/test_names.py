"""Each thing is found in one guess: names say what is inside, and the first sentence says what for."""

from __future__ import annotations

import ast
import re

SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "base"}


def test_no_module_has_a_name_that_says_nothing(modules):
    assert [module.name for module in modules if SAY_NOTHING & set(module.name.split("."))] == []


def test_a_module_opens_with_one_sentence(modules):
    wrong = []
    for module in modules:
        if not module.tree.body:
            continue  # an empty __init__.py has nothing to say
        opening = (ast.get_docstring(module.tree) or "").split("\n\n")[0]
        if not re.search(r"[.:]$", opening) or re.search(r"[.!?]\s", opening):
            wrong.append(f"{module.at(module.tree)} {opening!r}")
    assert wrong == []


def test_every_room_has_a_door_that_says_what_is_in_it(modules):
    """A folder with modules has an `__init__.py`; without one it would not be packed or typed."""
    folders = {module.path.parent for module in modules}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []
