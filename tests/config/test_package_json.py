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


@pytest.mark.parametrize(
    ("keys", "fix"),
    [
        ({"resources": {"db": {"kind": 3}}}, 'write it as in "kind": "postgres"'),
        ({"resources": {"db": "postgres"}}, 'write a table "resources": {"db": {...}}'),
        ({"resources": {"db": {"kind": "postgres", "schema": 3}}}, 'write it as in "schema": "alembic.ini"'),
        ({"resources": {"db": {"kind": "postgres", "durable": "x"}}}, 'write it as in "durable": true'),
        ({"allow_hosts": 1}, 'write it as in "allow_hosts": ["api.example.org"]'),
        ({"services": {"s": {"cmd": "x", "env": 1}}}, 'write it as in "env": {"STOCK_URL": "{services.stock}"}'),
    ],
)
def test_what_to_write_is_told_in_json(files, known, keys, fix):
    source = files.write(json.dumps({"seatrial": keys}), "package.json")
    _, problems = diagnose(source, environ={}, known=known)
    assert fix in [problem.fix for problem in problems]


def test_what_a_variable_is_to_hold_is_told_as_it_is_written_there(files, known):
    source = files.write('{"seatrial": {"resources": {"db": {"kind": "postgres"}}}}', "package.json")
    _, (problem,) = diagnose(source, environ={"SEATRIAL_DB_DURABLE": "x"}, known=known)
    assert problem.fix == "write it as in durable = true"


def test_a_value_of_null_is_told_as_such(files, known):
    source = files.write('{"seatrial": {"resources": {"db": {"kind": null}}}}', "package.json")
    with pytest.raises(ConfigError, match="null"):
        load(source, environ={}, known=known)


def test_a_key_that_holds_no_table_is_refused(files, known):
    source = files.write('{"seatrial": true}', "package.json")
    with pytest.raises(ConfigError, match="seatrial is no table"):
        load(source, environ={}, known=known)
