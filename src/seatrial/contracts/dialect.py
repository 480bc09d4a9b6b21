"""OpenAPI 3.0 writes a few things in its own way: its schemas as JSON Schema, which 3.1 uses as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OWN = "3.0"


def as_json_schema(description: Mapping[str, Any]) -> dict[str, Any]:
    """The document with JSON Schemas in it. One of 3.1 and later is returned as it is."""
    if not str(description.get("openapi", "")).startswith(OWN):
        return dict(description)
    converted: dict[str, Any] = _converted(description)
    return converted


def _converted(value: Any) -> Any:
    if isinstance(value, list):
        return [_converted(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    plain = {key: _converted(each) for key, each in value.items()}
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if plain.get(bound) is True and limit in plain:
            plain[bound] = plain.pop(limit)
        elif isinstance(plain.get(bound), bool):
            del plain[bound]
    properties, required = plain.get("properties"), plain.get("required")
    if isinstance(properties, Mapping) and isinstance(required, list):
        # What is written only is required in requests only.
        plain["required"] = [name for name in required if not _is_true(properties.get(name), "writeOnly")]
    if plain.get("nullable") is True:
        del plain["nullable"]
        return _or_null(plain)
    return plain


def _is_true(schema: Any, key: str) -> bool:
    return isinstance(schema, Mapping) and schema.get(key) is True


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}
