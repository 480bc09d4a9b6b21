"""The same keys in the package.json of a project of Node."""

from __future__ import annotations

import json

import pytest

from seatrial.config.load import diagnose, load
from seatrial.errors import ConfigError


def test_the_keys_are_those_of_toml(files, known):
    resources = {
        "db": {"kind": "postgres", "schema": "prisma/migrations", "env": {"DB_HOST": "{host}"}, "durable": True},
        "queue": {"kind": "sqlite", "env": ["QUEUE_URL"]},
    }
    source = files.write(json.dumps({"name": "shop", "seatrial": {"idle": 3, "resources": resources}}), "package.json")
    config = load(source, environ={"SEATRIAL_DB_ISOLATION": "clone"}, known=known)
    db, queue = config.resources
    assert (config.idle, db.schema, db.env, db.durable) == (3, ("prisma/migrations",), {"DB_HOST": "{host}"}, True)
    assert db.isolation == "clone"
    assert queue.env == {"QUEUE_URL": "{url}"}


def test_a_mistake_is_told_with_its_line(files, known):
    source = files.write(
        """
        {
          "name": "a \\"quoted\\": {name",
          "seatrial": {
            "resources": {
              "db": {
                "kind": "postgres",
                "schemas": "prisma/migrations"
              }
            }
          }
        }
        """,
        "package.json",
    )
    _, (problem,) = diagnose(source, environ={}, known=known)
    assert problem.where == f"{source}:7"
    assert "schema" in problem.fix


def test_a_value_of_null_is_told_as_such(files, known):
    source = files.write('{"seatrial": {"resources": {"db": {"kind": null}}}}', "package.json")
    with pytest.raises(ConfigError, match="null"):
        load(source, environ={}, known=known)


def test_a_key_that_holds_no_table_is_refused(files, known):
    source = files.write('{"seatrial": true}', "package.json")
    with pytest.raises(ConfigError, match="seatrial is no table"):
        load(source, environ={}, known=known)
