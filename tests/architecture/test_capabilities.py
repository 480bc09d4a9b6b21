"""Code asks what a class can by `isinstance`: one that lacks a method of a capability would have none, silently."""

from __future__ import annotations

import importlib
import inspect

import pytest

from seatrial.resources import protocol
from seatrial.testing.capabilities import CAPABILITIES, declared, halves


def plays(role: type, subject: type) -> bool:
    return all(hasattr(subject, name) for name in declared(role) if inspect.isfunction(vars(role).get(name)))


@pytest.fixture(scope="module")
def classes(modules) -> list[type]:
    return [
        value
        for module in modules
        if module.name.startswith("seatrial.resources.")
        for value in vars(importlib.import_module(module.name)).values()
        if inspect.isclass(value) and value.__module__ == module.name and not getattr(value, "_is_protocol", False)
    ]


def test_a_class_of_ours_has_a_capability_whole_or_nothing_of_it(classes):
    found = [half for role in CAPABILITIES for one in classes if plays(role, one) for half in halves(role, one)]
    assert found == []


@pytest.mark.parametrize(
    ("role", "least"),
    [
        (protocol.Kind, {"Postgres", "SQLite", "MySQL", "Redis", "Nats", "S3", "Command"}),
        (protocol.Store, {"PostgresStore", "SQLiteStore", "MySQLStore", "RedisStore", "NatsStore", "S3Store"}),
        (protocol.Copy, {"PostgresCopy", "SQLiteCopy", "MySQLCopy", "RedisCopy", "NatsCopy", "S3Copy", "CommandCopy"}),
        (protocol.Client, {"PsycopgConnection", "SQLiteConnection", "RedisClient", "BucketClient"}),
        (protocol.Server, {"NoServer"}),
    ],
)
def test_who_is_looked_at_are_those_that_a_run_uses(classes, role, least):
    assert least <= {one.__name__ for one in classes if plays(role, one)}


def test_every_capability_is_known_to_the_checks():
    every = {value for name, value in vars(protocol).items() if name.startswith("Supports")}
    assert {capability for some in CAPABILITIES.values() for capability in some} == every
