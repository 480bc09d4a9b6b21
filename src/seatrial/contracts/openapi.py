"""Compares the responses of an app with its own OpenAPI description: status, media type, schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from seatrial.contracts.dialect import as_json_schema
from seatrial.core.redact import is_secret, redact
from seatrial.errors import ContractError
from seatrial.events import BodyState, Exchange

DOCUMENT = "urn:seatrial:openapi"
JSON_ENDINGS = ("/json", "+json")
LONGEST, LONGEST_VALUE = 160, 60
VALUE = "\ue000"
"""Stands in messages of jsonschema-rs where the value would: a character that nobody writes."""


class OpenApis:
    """Those of an app and of the apps that are mounted in it.

    Args:
        found: where each is mounted, and its document, or why that can't be had.

    Raises:
        Exception: what the app itself raised, or what its document can't be used for.
    """

    def __init__(self, found: Iterable[tuple[str, Mapping[str, Any] | Exception]]) -> None:
        self._described: list[tuple[re.Pattern[str], OpenApi | Exception]] = []
        for place, document in found:
            one = _made(document)
            if isinstance(one, Exception) and not place:
                raise one
            self._described.append((_beginning(place), one))

    def contradiction(self, exchange: Exchange) -> str:
        """In what a response contradicts each that describes it; empty where it agrees with one, or none does.

        Several may: of two apps that are mounted for two hosts, say, it is not known which one has answered. Raises
        why the only one that may can't be had.
        """
        texts: list[str] = []
        lacking: Exception | None = None
        for place, one in self._described:
            if (begun := place.match(exchange.route)) is None:
                continue
            inner = exchange.route[begun.end() :]
            if isinstance(one, Exception):
                lacking = one
            elif (text := one.contradiction(replace(exchange, route=inner))) is not None:
                texts.append(text)
        if lacking is not None and not texts:
            raise lacking.with_traceback(None)
        return "" if "" in texts else next(iter(texts), "")


class OpenApi:
    """One app's description.

    Args:
        description: the document, as plain values.

    Raises:
        ContractError: jsonschema-rs is not installed.
    """

    def __init__(self, description: Mapping[str, Any]) -> None:
        # As it is served: YAML's statuses are numbers, and its dates no text.
        self._document = as_json_schema(json.loads(json.dumps(description, default=str)))
        self._paths: Mapping[str, Any] = self._document.get("paths") or {}
        self._checker = _checker()
        self._registry = self._checker.Registry([(DOCUMENT, self._document)])
        self._validators: dict[str, Any] = {}
        served_at = [str(each.get("url", "")) for each in self._document.get("servers") or ()]
        self._bases = ("", *(urlsplit(url).path.rstrip("/") for url in served_at))
        """What a route may begin with that a path of the description does not: where its servers have them."""
        self._alike: dict[str, list[str]] = {}
        for path in self._paths:
            self._alike.setdefault(_nameless(path), []).append(path)

    def contradiction(self, exchange: Exchange) -> str | None:
        """In what a response contradicts the description, in one line; empty where it does not.

        None where it is not described at all: no operation has this path and method.
        """
        method, status = exchange.method, exchange.status
        path = self._spelled(method, exchange.route)
        operation: Mapping[str, Any] | None = (self._paths.get(path) or {}).get(method.lower())
        if operation is None:
            return None
        if not status:
            return ""
        responses: Mapping[str, Any] = operation.get("responses") or {}
        described = next((each for each in (str(status), f"{status // 100}XX", "default") if each in responses), None)
        if described is None:
            return f"answered {status}, which is not described (described: {', '.join(responses) or 'nothing'})"
        place = _pointer("paths", path, method.lower(), "responses", described)
        response, place = self._resolved(responses[described], place)
        content: Mapping[str, Any] = response.get("content") or {}
        if not content or exchange.body_state is BodyState.NONE:
            return ""
        return self._unlike(exchange, content, f"{place}/content")

    def _unlike(self, exchange: Exchange, content: Mapping[str, Any], place: str) -> str:
        """In what the body, or its media type, is not one of those described."""
        status, media_type = exchange.status, exchange.media_type
        accepted, is_json = _accepting(media_type, content), media_type.endswith(JSON_ENDINGS)
        is_whole = exchange.body_state is BodyState.WHOLE
        if is_whole and not exchange.body and (is_json or (not media_type and accepted is None)):
            return f"answered {status} without a body, described as {', '.join(content)}"
        if accepted is None:
            return f"answered {status} as {media_type or 'nothing'}, described as {', '.join(content)}"
        if "schema" in content[accepted] and is_json and is_whole:
            return self._invalid(f"{place}/{_escaped(accepted)}/schema", status, exchange.body or b"")
        return ""

    def _spelled(self, method: str, route: str) -> str:
        """The route as the description writes it: "/users/{id:int}", "/users/<int:id>" and "/users/{id}" are one.

        Parameters may have other names there: a path with the same ones comes first, and then one that has the method.
        """
        for base in self._bases:
            inner = route.removeprefix(base)
            if not inner or (base and inner == route):
                continue
            if inner in self._paths:
                return inner
            named, alike = _named(inner), self._alike.get(_nameless(inner), ())
            if alike:
                return max(alike, key=lambda path: (_named(path) == named, method.lower() in self._paths[path]))
        return route

    def _resolved(self, value: Mapping[str, Any], place: str) -> tuple[Mapping[str, Any], str]:
        """What a reference leads to, and where that stands. Raises ValueError where it is none within the document."""
        passed = []
        while isinstance(value.get("$ref"), str):
            place = value["$ref"]
            passed.append(place)
            found: Any = self._document
            for step in unquote(place).split("/")[1:]:
                name = step.replace("~1", "/").replace("~0", "~")
                found = found.get(name) if isinstance(found, Mapping) else None
            if not place.startswith("#/") or not isinstance(found, Mapping) or place in passed[:-1]:
                raise ValueError(f"{place!r} leads to no response in the document")
            value = found
        return value, place

    def _invalid(self, place: str, status: int, body: bytes) -> str:
        try:
            value = json.loads(body, parse_constant=_no_number)
        except ValueError as error:
            return f"answered {status} with a body that is no JSON: {error}"
        wrong = next(self._validator(place).iter_errors(value), None)
        if wrong is None:
            return ""
        where = redact("".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in wrong.instance_path))
        return f"answered {status} with a body that is not as described: body{where}: {_short(_said(wrong))}"

    def _validator(self, place: str) -> Any:
        """For the schema that stands there. Raises ValueError where there is none that can be used."""
        if place not in self._validators:
            schema = {"$ref": f"{DOCUMENT}{place}"}
            try:
                made = self._checker.Draft202012Validator(schema, registry=self._registry, mask=VALUE)
            except self._checker.ValidationError as error:
                raise ValueError(_said(error)) from None
            self._validators[place] = made
        return self._validators[place]


def _made(document: Mapping[str, Any] | Exception) -> OpenApi | Exception:
    if isinstance(document, Exception):
        return document
    try:
        return OpenApi(document)
    except Exception as error:  # noqa: BLE001 - the app's own words may hold anything
        return error


def _beginning(place: str) -> re.Pattern[str]:
    """What the routes of an app that is mounted there begin with: of "/{tenant}", they have the tenant's name."""
    parts = re.split(r"\{[^}]*\}", place)
    return re.compile("[^/]+".join(map(re.escape, parts)) + ("(?=/)" if place else ""))


def _checker() -> Any:
    try:
        import jsonschema_rs
    except ModuleNotFoundError:
        raise ContractError(
            "Responses can't be compared with the app's OpenAPI description.",
            cause="jsonschema-rs is not installed",
            fix="pip install 'seatrial[contracts]'",
        ) from None
    return jsonschema_rs


def _named(route: str) -> str:
    """With the names of parameters only, as OpenAPI writes them: frameworks write their types there, too."""
    return re.sub(r"\{([^}:]*)[^}]*\}|<(?:[^>]*:)?([^>]*)>", r"{\1\2}", route).rstrip("/")


def _nameless(route: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", _named(route))


def _pointer(*steps: str) -> str:
    return "#/" + "/".join(_escaped(step) for step in steps)


def _accepting(media_type: str, content: Mapping[str, Any]) -> str | None:
    top = media_type.partition("/")[0]
    described = {key.split(";", 1)[0].strip().lower(): key for key in content}
    return next((described[each] for each in (media_type, f"{top}/*", "*/*") if each in described), None)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON's")


def _escaped(step: str) -> str:
    """A step of a JSON pointer, in a URI's fragment."""
    return quote(step.replace("~", "~0").replace("/", "~1"), safe="~")


def _said(wrong: Any) -> str:
    """The message of jsonschema-rs, with as much of the value in it as may be told."""
    return redact(wrong.message).replace(VALUE, _told(wrong.instance, wrong.instance_path))


def _told(value: Any, place: Sequence[str | int]) -> str:
    """A value that is not as described: what it is, and itself only where that is short and no secret."""
    if isinstance(value, Mapping | list):
        return "an array" if isinstance(value, list) else "an object"
    if isinstance(value, bool) or value is None or not any(is_secret(str(step)) for step in place):
        return _short(redact(json.dumps(value, ensure_ascii=False)), LONGEST_VALUE)
    return "a string" if isinstance(value, str) else "a number"


def _short(message: str, longest: int = LONGEST) -> str:
    line = " ".join(message.split())
    return line if len(line) <= longest else line[: longest - 3] + "..."
