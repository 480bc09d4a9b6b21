"""How a driver's connection opens: what it asks for, and the answer that a server would give."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from seatrial.sessions.wire.messages import Stream, make, parameters, ready

_PLAIN, _NO_SSL, _NO_GSS, _CANCEL = 3 << 16, 80877103, 80877104, 80877102
_OURS = frozenset({"user", "database", "application_name", "client_encoding", "replication", "options"})
_OPTION = re.compile(r"(?:-c\s*|--)([\w.]+)=((?:\\.|[^\s\\])*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a client wants."""

    user: str = ""
    replication: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of its session, from `options` and from parameters of their own (asyncpg's `server_settings`)."""
    cancels: int = 0
    """The number of the client whose statement is to be ended; 0 in a client of its own."""


def read(stream: Stream) -> Opening:
    """Answer all that comes before the connection's parameters, and read these."""
    while True:
        body = stream.opening()
        (code,) = struct.unpack_from("!I", body)
        if code in (_NO_SSL, _NO_GSS):
            stream.send(b"N")
            continue
        if code == _CANCEL:
            return Opening(cancels=struct.unpack_from("!I", body, 8)[0])
        if code > _PLAIN:
            stream.send(make(b"v", struct.pack("!II", _PLAIN, 0)))
        asked = parameters(body[4:])
        encoding = asked.get("client_encoding", "utf8").lower().replace("-", "").strip("'")
        return Opening(
            user=asked.get("user", ""),
            replication="replication" in asked,
            settings=_options(asked.get("options", ""))
            | {name: value for name, value in asked.items() if name and name not in _OURS}
            | ({} if encoding in ("utf8", "unicode") else {"client_encoding": encoding}),
        )


def welcome(reported: Mapping[str, str], pid: int, number: int) -> bytes:
    """The server's answer to a client that it lets in."""
    told = [make(b"S", f"{name}\0{value}\0".encode()) for name, value in reported.items()]
    return make(b"R", struct.pack("!I", 0)) + b"".join(told) + make(b"K", struct.pack("!II", pid, number)) + ready(b"I")


def _options(text: str) -> dict[str, str]:
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in _OPTION.findall(text)}
