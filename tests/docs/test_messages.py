"""Every error that Seatrial raises on purpose stands in docs/messages.md, which is made from the source.

After a change of a message: `make docs`.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from seatrial import errors

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "messages.md"
TROUBLES = ROOT / "docs" / "troubleshooting.md"
KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
OPENING = """# Messages

Every error that Seatrial raises on purpose, by its kind, as it stands in the source; *words like this* are filled in
when it is raised, [what stands like this] is there only where there is something to say. Mistakes in a configuration
are told one by one, with file and line, and are not listed here. This page is made by `make docs`. What is behind the
most frequent ones: [troubleshooting](troubleshooting.md).
"""


@pytest.fixture(scope="module")
def messages():
    return messages_by_kind()


def test_the_page_has_every_message_of_the_source(messages):
    page = OPENING + "".join(sections(messages))
    if os.environ.get("SEATRIAL_WRITE_DOCS"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "messages have changed: run `make docs`"


def test_the_messages_that_are_explained_exist(messages):
    """Each message under which troubleshooting.md has a section is one that the source can raise."""
    explained = re.findall(r"^### \"(.*)\"$", TROUBLES.read_text(), re.MULTILINE)
    known = [what for them in messages.values() for what, _, _ in them]
    filled_in = r"\*[^*]+\*|\[.*?\]"
    fixed = [[part for part in re.split(filled_in, what) if part.strip()] for what in known]
    assert explained
    for message in explained:
        assert any(all(part in message for part in parts) and parts for parts in fixed), message


def sections(by_kind: dict[str, list[tuple[str, str, str]]]) -> Iterator[str]:
    for kind, messages in by_kind.items():
        if not messages:
            continue
        yield f"\n## {kind}\n\n{(KINDS[kind].__doc__ or '').splitlines()[0]}\n"
        for what, cause, fix in sorted(message for message in set(messages) if message[0] != "*...*"):
            yield f"\n- {what}\n"
            yield f"  - why: {cause}\n" if cause else ""
            yield f"  - fix: {fix}\n" if fix else ""


def messages_by_kind() -> dict[str, list[tuple[str, str, str]]]:
    """(what, cause, fix) of every place that makes an error."""
    found: dict[str, list[tuple[str, str, str]]] = {name: [] for name in KINDS}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            called = getattr(node, "func", None)
            kind = getattr(called, "id", getattr(called, "attr", ""))
            if isinstance(node, ast.Call) and kind in found and node.args:
                parts = {keyword.arg: told(keyword.value) for keyword in node.keywords}
                found[kind].append((told(node.args[0]), parts.get("cause", ""), parts.get("fix", "")))
    return found


def told(node: ast.expr) -> str:  # noqa: PLR0911 - one return for each shape that a message is written in
    """The text of a literal, with a word for each thing that is filled in."""
    match node:
        case ast.Constant(value=value):
            return " ".join(str(value).replace("*", r"\*").split(" ")).replace("\n", " ")
        case ast.JoinedStr(values=values):
            return "".join(told(value) for value in values)
        case ast.FormattedValue(value=value) | ast.Call(func=ast.Name(id="redact"), args=[value, *_]):
            return told(value)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return told(left) + told(right)
        case ast.IfExp(body=body, orelse=orelse):
            return (
                " | ".join(text for text in (told(body), told(orelse)) if text) if told(orelse) else f"[{told(body)}]"
            )
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return f"*{name.strip('_').replace('_', ' ')}*"
        case ast.Call(func=ast.Name(id="str" | "repr" | "len" | "min" | "max" | "sorted"), args=[value, *_]):
            return told(value)
    return "*...*"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("'port taken'", "port taken"),
        ("f'port {port} is taken'", "port *port* is taken"),
        ("f'{spec.kind} lacks {\", \".join(names)}'", "*kind* lacks *...*"),
        ("redact(f'{url} is wrong')", "*url* is wrong"),
        ("'a' if few else 'b'", "a | b"),
        ("'taken' + (f' by {who}' if who else '')", "taken[ by *who*]"),
    ],
)
def test_a_message_is_read_as_its_author_wrote_it(source, text):
    assert told(ast.parse(source, mode="eval").body) == text
