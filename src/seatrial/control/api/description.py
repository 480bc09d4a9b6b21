"""The OpenAPI description, made from the endpoints and the messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from seatrial import __version__
from seatrial.control.api.endpoints import ENDPOINTS, PATTERNS, Endpoint
from seatrial.control.api.messages import Problem
from seatrial.control.api.schema import Schemas, schema_of

MOST_SINCE = 2**53 - 1
"""What a number may be that other languages read exactly."""


def describe(endpoints: Sequence[Endpoint] = ENDPOINTS) -> dict[str, Any]:
    """The whole description, as OpenAPI 3.1."""
    named: Schemas = {}
    paths: dict[str, dict[str, Any]] = {}
    problem = schema_of(Problem, named)
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, named, problem)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Seatrial",
            "version": __version__,
            "description": "Copies of real resources for tests in any language: each test starts from the baseline.",
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(named.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(endpoint: Endpoint, named: Schemas, problem: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint),
        "responses": {str(int(endpoint.status)): _success(endpoint, named)},
    }
    for status in endpoint.statuses():
        operation["responses"][str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": problem}},
        }
    if endpoint.takes is not None:
        operation["requestBody"] = {
            "required": any_required(endpoint.takes),
            "content": {"application/json": {"schema": schema_of(endpoint.takes, named)}},
        }
    if endpoint.public:
        operation["security"] = []
    return operation


def any_required(kind: type) -> bool:
    """Whether a request of this kind needs a body at all."""
    from dataclasses import fields

    from seatrial.control.api.schema import required

    return any(required(member) for member in fields(kind))


def _success(endpoint: Endpoint, named: Schemas) -> dict[str, Any]:
    told: dict[str, Any] = {"description": HTTPStatus(endpoint.status).phrase}
    if endpoint.streams:
        told["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    elif endpoint.gives is not None:
        told["content"] = {"application/json": {"schema": schema_of(endpoint.gives, named)}}
    elif endpoint.status != HTTPStatus.NO_CONTENT:
        told["content"] = {"application/json": {"schema": {"type": "object"}}}
    return told


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": PATTERNS[name]}}
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    in_query = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": meaning,
            "schema": {"type": "integer", "minimum": 0, "maximum": MOST_SINCE, "default": 0},
        }
        for name, meaning in endpoint.query.items()
    ]
    return [*in_path, *in_query]
