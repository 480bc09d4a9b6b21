"""What a single value may say: addresses, import paths, versions, and templates of variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from urllib.parse import SplitResult, urlsplit

from seatrial.core.ports import LOOPBACK
from seatrial.core.redact import redact

ENV_FIELDS = ("url", "host", "port", "user", "password", "database")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_IMPORT = re.compile(rf"{_DOTTED}:{_DOTTED}(?P<call>\(\))?")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LONGEST_NAME = 40
"""A copy's name holds the resource's and more, and PostgreSQL cuts names at 63 bytes."""

Verdict = tuple[str, str] | None
"""What is wrong and what to write instead; None where nothing is."""


def import_path(key: str, value: str, *, example: str, call: bool) -> Verdict:
    """A path such as "app.main:app", with "()" at its end only where `call` allows it."""
    value = redact(value)
    match = _IMPORT.fullmatch(value.strip())
    if match and (call or not match["call"]):
        return None
    if match:
        return f'{key} = "{value}" calls it; the callable itself is wanted', f'write {key} = "{value.strip()[:-2]}"'
    module, _, name = value.strip().partition(":")
    if "/" in module or module.endswith(".py"):
        module = module.removesuffix(".py").strip("./").replace("/", ".")
        name = name or "NAME"
        return f'{key} = "{value}" is a path of a file', f'write it as it is imported: {key} = "{module}:{name}"'
    return f'{key} = "{value}" is no "module:name"', f"write it as in {example}"


def resource_name(name: str) -> Verdict:
    """A name that can be a fixture, part of a variable, and part of a database's name."""
    import keyword

    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        better = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "db"
        better = f"db_{better}" if better[0].isdigit() or keyword.iskeyword(better) else better
        return (
            f"a resource's name is its fixture's, and `{name}` is no name of Python",
            f"write [resources.{better[:_LONGEST_NAME]}]: letters, digits and underscores, a letter first",
        )
    if len(name) > _LONGEST_NAME:
        return f"the name `{name[:20]}...` has {len(name)} characters", f"at most {_LONGEST_NAME} are possible"
    return None


def version(value: str) -> Verdict:
    """A requirement such as ">=16", as packaging reads it."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(value)
    except InvalidSpecifier:
        number = re.search(r"\d+(?:\.\d+)*", value)
        wanted = f'version = "=={number[0]}.*", or version = ">={number[0]}"' if number else 'version = ">=16"'
        return f'version = "{value}" is no requirement', f"write {wanted}"
    return None


def plain_version(value: str) -> str:
    """The requirement that a bare number stands for: "16" is any 16, "==16.*"."""
    return f"=={value}.*" if re.fullmatch(r"\d+(\.\d+)*", value) else value


def at(value: str, *, database: bool = True) -> Verdict:
    """An address that we are to serve: on this machine, with a `database`. Its kind knows the default of the rest."""
    example = 'write it as in at = "postgresql://test:test@localhost:5432/testdb"'
    parts, wrong = _split("at", value, example)
    if parts is None:
        return wrong
    if not parts.hostname or (database and not parts.path.strip("/")):
        return "`at` needs a host and the name of a database", example
    if parts.hostname not in LOOPBACK:
        return (
            f"`at` names the host {parts.hostname}, and a server is only ever started on this machine",
            "write localhost for the host; to use a server that already runs, give its address as `url`",
        )
    return None


def url(value: str) -> Verdict:
    """The address of a server that somebody else runs."""
    example = 'write it as in url = "postgresql://user:password@host:5432/database"'
    parts, wrong = _split("url", value, example)
    if parts is not None and not parts.hostname and "host=" not in parts.query:
        return "`url` lacks a host", example
    return wrong


def _split(key: str, value: str, example: str) -> tuple[SplitResult | None, Verdict]:
    try:
        parts = urlsplit(value.strip())
        _ = parts.port, parts.hostname
    except ValueError as error:
        # The message of urlsplit may quote the part that it could not read, and that may be a password.
        reason = "its port is no number" if "ort" in str(error) else "its host can't be read"
        return None, (f"`{key}` is no address: {reason}", f"{example}; write %40 for an @ in a password")
    if not parts.scheme or "://" not in value:
        return None, (f"`{key}` is no address", example)
    return parts, None


def variable(name: str) -> Verdict:
    """A name that a variable of the environment can have."""
    if _VARIABLE.fullmatch(name):
        return None
    better = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lstrip("0123456789_").upper()
    better = better or "DATABASE_URL"
    return f'env: "{name}" is no name of a variable', f"write a name such as {better}"


def template(name: str, text: str) -> Verdict:
    """The value of a variable, with fields such as "{host}" in it."""
    from seatrial.config.explain import instead

    try:
        fields = [(field, spec, how) for _, field, spec, how in Formatter().parse(text) if field is not None]
    except ValueError as error:
        return f"env: the template of {name} can't be read: {error}", "write {{ and }} for braces that are no field"
    for field, spec, how in fields:
        if field not in ENV_FIELDS:
            shown = "{" + field + "}"
            return f"env: {name} uses {shown}, which is no field", instead(field, ENV_FIELDS, of="fields")
        if spec or how:
            return f"env: {name} formats the field {{{field}}}", f"write {{{field}}} alone"
    return None


def variables(value: object) -> Mapping[str, str] | None:
    """`env` in its three spellings as one: variable -> template. None where it is none of them."""
    if isinstance(value, str):
        return {value: "{url}"}
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return {str(name): "{url}" for name in value}
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        return {str(name): str(text) for name, text in value.items()}
    return None
