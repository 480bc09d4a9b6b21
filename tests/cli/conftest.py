"""Made-up projects of different shapes, and what `seatrial init` says about them."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from seatrial.cli.main import main


class Shape:
    """A project that is written file by file."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def files(self, files: dict[str, str]) -> Shape:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"), "utf-8")
        return self

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """One command in this process: its status, standard output and standard error."""
        status = main(arguments)
        told = self._capsys.readouterr()
        return status, told.out, told.err

    def init(self) -> dict[str, Any]:
        """What `seatrial init` found, as it tells machines; the file is written."""
        status, out, err = self.run("init", str(self.folder), "--json")
        assert (status, err) == (0, "")
        said: dict[str, Any] = json.loads(out)
        return said

    def values(self) -> dict[str, Any]:
        return {one["key"].removeprefix("resources.db."): one["value"] for one in self.init()["values"]}


@pytest.fixture
def shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shape:
    (tmp_path / ".git").mkdir()
    return Shape(tmp_path, capsys)
