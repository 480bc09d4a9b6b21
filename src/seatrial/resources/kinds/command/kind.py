"""A command as a kind: what the configuration says of a program that we do not know."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from string import Formatter
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from seatrial.core.children import search_path
from seatrial.errors import ConfigError
from seatrial.resources.kinds.command.program import FIELDS, CommandProgram, is_function
from seatrial.resources.kinds.command.readiness import read
from seatrial.resources.protocol import Address, Requirements, ServerSpec

if TYPE_CHECKING:
    from seatrial.resources.kinds.command.store import CommandStore
    from seatrial.resources.protocol import Endpoint


class Command:
    """Any program that listens on a port. Implements `Kind`."""

    name: ClassVar[str] = "command"
    env: ClassVar[str] = "SERVICE_URL"
    drivers: ClassVar[Mapping[str, str]] = MappingProxyType({})
    impossible: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "rollback": "nobody but the project knows what the program keeps, and how its `reset` brings that back",
            "clone": "a program that Seatrial does not know can't be copied",
        }
    )
    options: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "command": "my-server --port {port} --data {data}",
            "ready": "http:/health",
            "reset": "tests.services:empty",
            "scheme": "http",
            "patience": "30",
        }
    )

    def spec(self, requirements: Requirements) -> ServerSpec:
        """What is to run. Raises `ConfigError` for a command line that can't be one."""
        if requirements.version or requirements.url:
            raise ConfigError(
                f"a command has no `{'version' if requirements.version else 'url'}`",
                cause="Seatrial does not know this program, it runs it",
                fix="remove the key; a program that runs already needs no resource",
            )
        command, reset = requirements.options.get("command", ""), requirements.options.get("reset", "")
        scheme = requirements.options.get("scheme", "http")
        words = _words("command", command, FIELDS)
        if not (requirements.at or "{port}" in command):
            raise ConfigError(
                "`command` does not say on which port it listens",
                cause="each worker's program has a port of its own, which is chosen by Seatrial",
                fix='write {port} where the program takes it, or its fixed address, as in at = "http://localhost:9200"',
            )
        if not reset.strip():
            raise ConfigError(
                "a command needs a `reset`: how it gets back to what a test finds at its start",
                cause="nobody but the project knows what the program keeps",
                fix='write reset = "tests.services:empty", reset = "curl -X DELETE {url}", or '
                'reset = "nothing" for a program that keeps nothing',
            )
        if not is_function(reset):
            _words("reset", reset, tuple(Address(scheme=scheme).fields()))
        readiness = read(requirements.options.get("ready", "tcp"))
        if readiness.way == "exec":
            _words("ready", readiness.what, FIELDS)
        elif readiness.way == "file":
            _check("ready", [readiness.what], FIELDS)
        program = _path(words[0], requirements.project)
        return replace(
            requirements.server(self.name),
            durable=False,  # what is durable is the command's own affair
            exclusive=True,
            url_form="",
            at=_at(requirements.at, scheme) if requirements.at else None,
            program=CommandProgram(program, tuple(words[1:]), scheme, readiness, requirements.project),
            patience=_seconds(requirements.options.get("patience", "60")),
            ready_when=str(readiness),
            data=MappingProxyType({"command": command, "reset": reset}),
        )

    def copy_address(self, endpoint: Endpoint, spec: ServerSpec, name: str, role: str = "") -> Address:
        """The address of the program, which is the worker's own."""
        del name, role
        return spec.at or endpoint.admin

    def open(self, endpoint: Endpoint, spec: ServerSpec, role: str = "") -> CommandStore:
        """What can be done with a program that runs."""
        from seatrial.resources.kinds.command.store import CommandStore

        del role  # it is refused as a key of SQL
        return CommandStore(endpoint, self.copy_address(endpoint, spec, ""), spec)


def _words(key: str, text: str, fields: Sequence[str]) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"`{key}` is no command line: {error}", fix="close the quotation") from None
    if not words:
        raise ConfigError(f"`{key}` is missing", fix='write command = "my-server --port {port}"')
    _check(key, words, fields)
    return words


def _check(key: str, words: Sequence[str], fields: Sequence[str]) -> None:
    """Refuse what can't be filled in."""
    try:
        named = {field for word in words for _, field, _, _ in Formatter().parse(word) if field is not None}
        for word in words if named <= set(fields) else ():  # "{port:d}" names a field, too
            word.format_map(dict.fromkeys(fields, ""))
    except ValueError as error:
        raise ConfigError(
            f"`{key}` has a brace that can't be filled in: {error}", fix="write {{ and }} for braces that stay"
        ) from None
    for field in sorted(named - set(fields)):
        raise ConfigError(
            f"`{key}` names {{{field}}}, which is no field",
            fix=f"fields are {', '.join(f'{{{name}}}' for name in fields)}; write {{{{ and }}}} for braces",
        )


def _path(name: str, project: Path) -> str:
    """Where a program is: in the project, beside this Python, on PATH, or among the project's node modules."""
    if "/" in name:
        return str(project / name)
    return shutil.which(name, path=search_path(project)) or name


def _at(url: str, scheme: str) -> Address:
    parts = urlsplit(url)
    if not parts.hostname or not parts.port:
        raise ConfigError("`at` has no host or no port", fix='write it as in at = "http://localhost:9200"')
    return Address(scheme=parts.scheme or scheme, host=parts.hostname, port=parts.port, database=parts.path.strip("/"))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigError(f'`patience` is "{text}"', fix='write seconds, as in patience = "30"')
    return seconds
