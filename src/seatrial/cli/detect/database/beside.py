"""What a project has beside its database: Redis, Valkey, NATS, and the variables by which it is told where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seatrial.cli.detect.candidate import Candidate, Note
from seatrial.cli.detect.database.opened import Opening, openings
from seatrial.cli.detect.database.variables import read_variables
from seatrial.cli.detect.project import Project

_CALLS: Mapping[str, re.Pattern[str]] = {
    "redis": re.compile(r"(?:redis|aioredis)\.(?:\w+\.)*(?:from_url|Redis|StrictRedis)"),
    "valkey": re.compile(r"valkey\.(?:\w+\.)*(?:from_url|Valkey|StrictValkey)"),
    "nats": re.compile(r"nats\.(?:\w+\.)*connect"),
}
_DEFAULT: Mapping[str, str] = {"redis": "REDIS_URL", "valkey": "VALKEY_URL", "nats": "NATS_URL"}
_ADDRESS = ("0", "url", "servers")
_PARTS: Mapping[str, str] = {
    "host": "{host}",
    "port": "{port}",
    "db": "{database}",
    "username": "{user}",
    "password": "{password}",
}
"""What a client takes as keywords, and what Seatrial has for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A resource that is called as its kind: its evidence, and `env` where the default is not what the app reads."""

    kind: Candidate
    env: str | Mapping[str, str]
    notes: tuple[Note, ...] = ()


def beside(project: Project) -> Iterator[Beside]:
    """One for each kind of server that the product opens a client of."""
    variables = read_variables(project)
    for kind, calls in _CALLS.items():
        found = list(openings(project, calls))
        told = next((one for one in found if _env(one)), None)
        if told is None:
            # A factory may take the address from anywhere; a name says enough where a client is made.
            named = next((one.name for one in variables if _is_address(one.name, kind)), "")
            if found:
                yield _made(kind, found[0], named)
        else:
            yield _made(kind, told, _env(told))


def _made(kind: str, opening: Opening, env: str | Mapping[str, str]) -> Beside:
    read = env if isinstance(env, str) else ", ".join(env)
    why = f"it calls {opening.called}()" + (f"; its address is read from {read}" if read else "")
    evidence = Candidate(value=kind, file=opening.source.relative, line=opening.line, why=why, score=0)
    notes = tuple(_of_client(opening, evidence))
    if env:
        return Beside(kind=evidence, env="" if env == _DEFAULT[kind] else env, notes=notes)
    text = (
        f"which variable holds the address of {kind} was not found: where it is not {_DEFAULT[kind]}, give it in "
        "`env`; where the address is fixed in the code, read it from a variable"
    )
    return Beside(kind=evidence, env="", notes=(Note(place=evidence.place, text=text), *notes))


def _of_client(opening: Opening, evidence: Candidate) -> Iterator[Note]:
    if evidence.value in ("redis", "valkey") and ("asyncio" in opening.called or "aioredis" in opening.called):
        text = (
            f"the app has an asynchronous client: the fixture `{evidence.value}` is one, too, if `override` names the "
            "dependency that yields it"
        )
        yield Note(place=evidence.place, text=text)


def _env(opening: Opening) -> str | Mapping[str, str]:
    """The variable of the whole address, or a template for each of its parts; empty where neither is read."""
    whole = next((opening.variables[key] for key in _ADDRESS if key in opening.variables), "")
    if whole and not opening.called.endswith(("Redis", "StrictRedis", "Valkey", "StrictValkey")):
        return whole
    parts = {opening.variables[key]: text for key, text in _PARTS.items() if key in opening.variables}
    return parts if "{host}" in parts.values() else ""


def _is_address(name: str, kind: str) -> bool:
    return bool(re.search(rf"(^|_){kind.upper()}(_\w+)?_(URL|URI|DSN)$", name)) and "TEST" not in name.split("_")
