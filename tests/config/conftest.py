"""A configuration file in a folder of its own, and the names that are valid in it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from seatrial.config.explain import Problem
from seatrial.config.keys import KindFacts, Known
from seatrial.config.load import diagnose, load
from seatrial.config.model import Config

KNOWN = Known(
    kinds={
        "postgres": KindFacts(env="DATABASE_URL", options={"connections": "60"}),
        "sqlite": KindFacts(env="DATABASE_URL", serverless=True),
        "redis": KindFacts(env="REDIS_URL", sql=False, impossible={"rollback": "it has no transactions"}),
    },
    providers=("embedded", "binary", "container", "url"),
)


class Files:
    """Writes a file and reads it as configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str, name: str = "pyproject.toml") -> Path:
        path = self.folder / name
        path.write_text(textwrap.dedent(text).lstrip("\n"), "utf-8")
        return path

    def load(self, text: str, environ: dict[str, str] | None = None, options: dict[str, str] | None = None) -> Config:
        return load(self.write(text), environ=environ or {}, options=options, known=KNOWN)

    def problems(
        self, text: str, environ: dict[str, str] | None = None, options: dict[str, str] | None = None
    ) -> tuple[Problem, ...]:
        config, problems = diagnose(self.write(text), environ=environ or {}, options=options, known=KNOWN)
        assert config is None or not problems
        return problems


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def known() -> Known:
    return KNOWN
