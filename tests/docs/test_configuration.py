"""The reference of the configuration is complete: every key of the model, with an example, and no other."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from seatrial.config.keys import RESOURCE, SERVICE, TOP
from seatrial.config.model import Config, ResourceConfig, ServiceConfig
from seatrial.resources.kinds.mysql import MySQL
from seatrial.resources.kinds.postgres import Postgres

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
SHARED = "Keys of a `postgres`, `mysql` or `mariadb` resource"
NOT_KEYS = {"name", "root", "source", "origins", "options"}
"""What a configuration knows of itself: where it stands in its file, where the file is, and the keys of its kind."""


def sections(of: str) -> dict[str, str]:
    """The sections of the keys under the heading `of`."""
    part = PAGE.read_text().split(f"\n## {of}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^### |\Z)", part, re.DOTALL | re.MULTILINE))


def keys(model: type) -> set[str]:
    return {field.name for field in dataclasses.fields(model)} - NOT_KEYS


def test_every_key_of_the_model_is_documented_and_no_other():
    assert set(sections("Keys of the project")) == keys(Config) == set(TOP)
    assert set(sections("Keys of a resource")) == keys(ResourceConfig) == set(RESOURCE)
    shared = set(sections(SHARED))
    assert set(sections("Keys of a `postgres` resource")) | shared == set(Postgres.options)
    assert shared == set(MySQL.options)
    assert set(sections("Keys of a service")) == keys(ServiceConfig) == set(SERVICE)


def test_every_key_has_an_example_that_sets_it():
    for key, text in (
        *sections("Keys of the project").items(),
        *sections("Keys of a resource").items(),
        *sections("Keys of a `postgres` resource").items(),
        *sections(SHARED).items(),
        *sections("Keys of a service").items(),
    ):
        (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
        assert re.search(rf"\b{key}\b", example), key
        assert "<!-- config -->" in text, f"{key}: its example is not checked"
