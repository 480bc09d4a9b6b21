"""Every code block of the documentation is executed or checked: what is shown is what happens.

How a block is run is said by its language and by a comment before it; CONTRIBUTING.md has the list. A block
that says neither fails here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from packaging.requirements import Requirement
from tests.conftest import WITH_WORKERS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")), *(ROOT / "docs").rglob("*.md")]
)
COMMENT = re.compile(r"<!--\s*([\w-]+)(?::\s*(.*?))?\s*-->")
NAME = re.compile(r"\*\*`([^`]+)`\*\*")
"""A paragraph of its own: the file that the block after it is. Readers of the page see it, as they see no comment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block, and what the comments before it say."""

    page: Path
    line: int
    language: str
    text: str
    says: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def read(page: Path) -> Iterator[Block]:
    """The page's blocks. Comments and the name of a file count for the block that follows them at once."""
    says: dict[str, str] = {}
    for token in MarkdownIt().parse(page.read_text()):
        if token.type in {"paragraph_open", "paragraph_close"}:
            continue
        if token.type == "html_block":
            says |= {name: value or "" for name, value in COMMENT.findall(token.content)}
        elif token.type == "inline" and (named := NAME.fullmatch(token.content)):
            says["file"] = named.group(1)
        elif token.type in {"fence", "code_block"}:
            line = token.map[0] + 1 if token.map else 0
            yield Block(page=page, line=line, language=token.info.strip(), text=token.content, says=dict(says))
            says.clear()
        else:
            says.clear()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_the_page_does_what_it_shows(page, project):
    for program in re.findall(r"^<!-- needs: (\S+) -->$", page.read_text(), re.MULTILINE):
        if not shutil.which(program, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin"):
            pytest.skip(f"{program} is neither on PATH nor in /usr/sbin: apt-get install mariadb-server")
    run = Runner(project)
    try:
        for block in read(page):
            run(block)
    finally:
        if "seatrial up" in page.read_text():
            project.end_servers()  # also where the page failed before it came to that


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_the_page_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


class Runner:
    """Runs a page's blocks from top to bottom, in one made-up project."""

    def __init__(self, project) -> None:
        self.project = project
        self.top = project.folder
        self.projects = 0
        project.environ["PATH"] = f"{Path(sys.executable).parent}:{project.environ['PATH']}"
        project.environ |= WITH_WORKERS | {"PYTEST_ADDOPTS": "-p no:cacheprovider"}
        self.start()

    def start(self) -> None:
        """A project of its own, so that no block leans on another page, or on the part of a page before it."""
        self.projects += 1
        self.project.folder = self.top / f"project{self.projects}"
        self.project.folder.mkdir()

    def __call__(self, block: Block) -> None:
        if "new-project" in block.says:
            self.start()
        self.way(block)(block)

    def way(self, block: Block) -> Callable[[Block], None]:
        """How this block is run; a failure where nothing says it."""
        by_comment = {
            "file": self.file,
            "part-of": self.part_of,
            "config": self.config,
            "make": self.make,
            "install": self.install,
            "floors": self.floors,
        }
        for name, way in by_comment.items():
            if name in block.says:
                return way
        by_language = {"console": self.console, "python": self.script}
        if block.language not in by_language:
            pytest.fail(f"{block}: nothing says how this block of {block.language or 'no language'!r} is run")
        return by_language[block.language]

    def file(self, block: Block) -> None:
        """A line of only **`NAME`** before it: the block is that file of the project, from here on."""
        path = self.project.folder / block.says["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)

    def script(self, block: Block) -> None:
        """A `python` block runs as a script and must end well."""
        outcome = self.project.run(sys.executable, "-c", block.text)
        assert outcome.status == 0, f"{block}\n{outcome.text}"

    def console(self, block: Block) -> None:
        """A `console` block: each `$ command` prints what follows it. `...` stands for anything, also for many lines.

        `<!-- exit: N -->` where a command is meant to fail.
        """
        exits = int(block.says.get("exit", 0))
        for command, shown in commands(block.text):
            done = subprocess.run(
                command, shell=True, cwd=self.project.folder, env=self.project.environ,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
            )  # fmt: skip
            assert done.returncode == exits, f"{block}: {command}\n{done.stdout}"
            assert matches(shown, done.stdout), f"{block}: {command}\n--- shown\n{shown}\n--- printed\n{done.stdout}"

    def part_of(self, block: Block) -> None:
        """`<!-- part-of: FILE -->`: the block is an excerpt; it stands in that file, word for word."""
        assert block.text.strip() in (ROOT / block.says["part-of"]).read_text(), (
            f"{block}: {block.says['part-of']} differs"
        )

    def config(self, block: Block) -> None:
        """`<!-- config -->`: a configuration, whole or the keys of a resource; it is read and found valid."""
        from seatrial.config.load import load

        text = block.text
        if "[tool.seatrial" not in text:
            has_kind = re.search(r"^kind\b", text, re.MULTILINE)
            kind = "" if has_kind else f'kind = "{block.says["config"] or "postgres"}"\n'
            text = f"[tool.seatrial.resources.db]\n{kind}{text}"
        self.start()
        file = self.project.folder / "pyproject.toml"
        file.write_text(text)
        assert load(file, environ={}).source == file, str(block)

    def make(self, block: Block) -> None:
        """`<!-- make -->`: each line is a target of the Makefile (running them here would run this test in itself)."""
        targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        for command, _ in commands(block.text):
            program, *wanted = shlex.split(command)
            assert program == "make", str(block)
            assert {word for word in wanted if "=" not in word} <= targets, f"{block}: {command}"

    def install(self, block: Block) -> None:
        """`<!-- install -->`: what is to be installed is this package, with extras that it has, or that of Node."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        package = json.loads((ROOT / "clients" / "typescript" / "package.json").read_text())
        for command, _ in commands(block.text):
            program, *_, wanted = shlex.split(command)
            if program == "npm":
                assert wanted == package["name"], f"{block}: {command}"
                continue
            requirement = Requirement(wanted)
            assert requirement.name == project["name"], f"{block}: {command}"
            assert requirement.extras <= set(project["optional-dependencies"]), f"{block}: {command}"

    def floors(self, block: Block) -> None:
        """`<!-- floors -->`: the floors as import-linter holds them, from the top."""
        contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        (held,) = (contract["layers"] for contract in contracts if contract["id"] == "floors")
        shown = [re.split(r"\s{2,}", line)[1] for line in block.text.splitlines()]
        built = [" | ".join(room for room in floor.split(" | ") if not room.startswith("(")) for floor in held]
        assert shown == built, str(block)


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each `$ command` with what is shown below it."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not parts[0].strip(), f"output without a command: {parts[0]}"
    for part in parts[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def matches(shown: str, printed: str) -> bool:
    """Whether this was printed. Nothing shown says nothing; blanks at the ends of lines don't count."""
    if not shown.strip():
        return True
    lines = [re.escape(line.rstrip()).replace(r"\.\.\.", ".*") for line in shown.strip("\n").splitlines()]
    pattern = "\n".join(r"[\s\S]*" if line == ".*" else line for line in lines).replace(
        "[\\s\\S]*\n", r"(?:[\s\S]*\n)?"
    )
    return re.fullmatch(pattern, "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())) is not None


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        ("", "anything", True),
        ("a\nb", "a  \nb\n", True),
        ("a\nb", "a\nb\nc", False),
        ("a\n...\nc", "a\nb\nb\nc", True),
        ("a\n...\nc", "a\nc", True),
        ("...\nc", "a\nb\nc", True),
        ("a\n...", "a\nb", True),
        ("1 passed in ...s", "1 passed in 0.12s", True),
        ("1 passed in ...s", "2 passed in 0.12s", False),
    ],
)
def test_what_is_shown_is_compared_line_by_line(shown, printed, fits):
    assert matches(shown, printed) is fits
