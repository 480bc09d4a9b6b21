"""From the bytes of a request to the message that they say, or to what is wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from seatrial.control.api.problems import RequestError
from seatrial.control.api.schema import PLAIN, required

MOST_BYTES = 64 * 1024


class Decoder:
    """Reads messages of one type. What is to be known of the type is found out once: it costs as much as a reset."""

    def __init__(self, wanted: type) -> None:
        hints = get_type_hints(wanted)
        self._wanted = wanted
        self._members: Mapping[str, tuple[Field[Any], Any]] = {
            one.name: (one, hints[one.name]) for one in fields(wanted)
        }

    def decode(self, body: bytes) -> Any:
        """The message in the body of a request. No body is an empty object.

        Raises:
            RequestError: 400 for what is no JSON, 422 for what is not this message.
        """
        try:
            value = json.loads(body) if body.strip() else {}
        except (ValueError, RecursionError) as error:
            fix = "send one JSON object in UTF-8"
            raise RequestError(400, "the body is no JSON", cause=str(error), fix=fix) from None
        if not isinstance(value, dict):
            raise _unfit("the body", f"{_kind(value)}", "an object")
        for name in value:
            if name not in self._members:
                known = ", ".join(self._members)
                raise RequestError(422, f'there is no key "{name[:40]}"', fix=f"the keys are: {known}")
        found = {}
        for name, (member, hint) in self._members.items():
            if name in value:
                found[name] = _value(name, value[name], hint, member.metadata)
            elif required(member):
                raise RequestError(422, f'the key "{name}" is missing', fix=f'send it, as in {{"{name}": "..."}}')
        return self._wanted(**found)


def encode(message: Any) -> bytes:
    """A message of ours as JSON."""
    return json.dumps(message, separators=(",", ":"), default=_members).encode()


def _members(message: Any) -> dict[str, Any]:
    """Those of one message; `dataclasses.asdict` would copy all that is in them as well."""
    return {name: getattr(message, name) for name in message.__dataclass_fields__}


def _value(name: str, value: Any, hint: Any, limits: Mapping[str, Any]) -> Any:
    origin = get_origin(hint)
    if origin is Mapping:
        if not isinstance(value, dict):
            raise _unfit(name, _kind(value), "an object")
        inner = get_args(hint)[1]
        return {key: _value(f"{name}.{key[:40]}", one, inner, {}) for key, one in value.items()}
    if origin is Literal:
        choices = get_args(hint)
        if value not in choices:
            raise _unfit(name, f'"{value[:40]}"' if isinstance(value, str) else _kind(value), " or ".join(choices))
        return value
    if type(value) is not hint:
        raise _unfit(name, _kind(value), f"a {PLAIN[hint]}")
    if isinstance(value, str):
        _check(name, value, limits)
    return value


def _check(name: str, value: str, limits: Mapping[str, Any]) -> None:
    if not limits.get("minLength", 0) <= len(value) <= limits.get("maxLength", len(value)):
        least = limits.get("minLength", 0)
        raise _unfit(name, f"of {len(value)} characters", f"of {least} to {limits['maxLength']}")
    if "pattern" in limits and not re.fullmatch(limits["pattern"].strip("^$"), value):
        raise _unfit(name, f'"{value[:40]}"', f"of the form {limits['pattern']}")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _unfit(what: str, found: str, wanted: str) -> RequestError:
    return RequestError(422, f"{what} is {found}; it must be {wanted}", fix="see /v1/openapi.json")
