"""From a dataclass of ours to the JSON schema that says the same."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

PLAIN: Mapping[Any, str] = MappingProxyType({str: "string", bool: "boolean", int: "integer", float: "number"})
Schemas = dict[str, Any]


def schema_of(hint: Any, named: Schemas) -> dict[str, Any]:
    """The schema of a type. Dataclasses on the way are put into `named`, and referred to.

    Raises:
        TypeError: the type is none that a message of ours may have.
    """
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    if is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in named:
            named[hint.__name__] = {}  # it may refer to itself
            named[hint.__name__] = _object(hint, named)
        return {"$ref": f"#/components/schemas/{hint.__name__}"}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": schema_of(arguments[0], named)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": schema_of(arguments[1], named)}
    if origin in (Union, UnionType):
        return {"anyOf": [{"type": "null"} if one is NoneType else schema_of(one, named) for one in arguments]}
    raise TypeError(f"no schema is known for {hint}")


def required(member: Field[Any]) -> bool:
    """Whether a value has to be given."""
    return member.default is MISSING and member.default_factory is MISSING


def _object(kind: type, named: Schemas) -> dict[str, Any]:
    hints = get_type_hints(kind)
    told = _member_docs(kind)
    properties: dict[str, Any] = {}
    for member in fields(kind):
        schema = schema_of(hints[member.name], named) | dict(member.metadata)
        if member.default is not MISSING:
            schema["default"] = member.default
        if member.name in told:
            # A reference stands alone in older readers of schemas.
            schema = {"allOf": [schema]} if "$ref" in schema else schema
            schema["description"] = told[member.name]
        properties[member.name] = schema
    return {
        "type": "object",
        "description": inspect.getdoc(kind) or "",
        "properties": properties,
        "required": [member.name for member in fields(kind) if required(member)],
        "additionalProperties": False,
    }


def _member_docs(kind: type) -> dict[str, str]:
    """What stands below each member in the source; empty where there is no source to read."""
    import ast
    import textwrap

    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return {}
    (node,) = tree.body
    assert isinstance(node, ast.ClassDef)
    found = {}
    for member, after in zip(node.body, node.body[1:], strict=False):
        match member, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = text
    return found
