"""How Redis and Valkey run as a local process: their command line, their users, and whether they answer."""

from __future__ import annotations

import hashlib
import signal
from pathlib import Path
from typing import ClassVar

from seatrial.core import ports
from seatrial.core.folders import digest
from seatrial.errors import ServerLost
from seatrial.resources.kinds.redis.wire import SOCKET, ReplyError, Wire, information
from seatrial.resources.protocol import Address, Endpoint, Image, Launch, Run, ServerSpec
from seatrial.resources.versions import Versions, not_accepted

ROLE = "seatrial"
"""Our own user; the app's is another one."""
_CONF = "users.conf"
_COMPATIBLE = "7.2.4"
"""The Redis that every Valkey says it is, in INFO's redis_version."""
_OLDEST = 6


class RedisProgram:
    """`protocol.Program` of Redis 6 and later, and of Valkey.

    Args:
        executables: which of the two will do.
        brand: which of the two was asked for: a Valkey that stands in for a Redis is "7.2.4+valkey.9.1".
    """

    refuses_root: ClassVar[bool] = False

    def __init__(self, executables: tuple[str, ...], brand: str) -> None:
        self.executables = executables
        self._brand = brand
        self._versions = Versions(r"(Redis|Valkey) server v=(\d+(?:\.\d+)*)")

    def version(self, binaries: Path) -> str:
        """The version of the server in this folder. Raises `ProviderError` if it can't be run."""
        found = self._versions.match(self._program(binaries))
        return self._shown(**{found[1].lower(): found[2]})

    def lacks(self, binaries: Path, spec: ServerSpec) -> str | None:  # noqa: ARG002 - the protocol's
        """What this server does not have, or None."""
        if self._brand == "redis" and int(self.version(binaries).split(".")[0]) < _OLDEST:
            return "Redis before 6.0 has no users, and is not supported"
        return None

    def fingerprint(self, binaries: Path, spec: ServerSpec) -> str:
        """A key of everything that shapes a fresh data folder: the users."""
        return digest(f"{self.version(binaries)} {spec.at.url() if spec.at else ''}", 16)

    def initialise(self, binaries: Path, data: Path, spec: ServerSpec, password: str, run: Run) -> None:  # noqa: ARG002 - nothing has to be run
        """Write down the users: on a command line everybody could read their passwords."""
        data.mkdir(mode=0o700)
        conf = data / _CONF
        conf.touch(mode=0o600)
        conf.write_text(_users(f">{password}", spec.at, channels=not self.version(binaries).startswith("6.0")))

    def launch(self, binaries: Path, data: Path, folder: Path, spec: ServerSpec, port: int, durable: bool) -> Launch:
        """The process to run: on the loopback interface and a socket in `folder` only."""
        (folder / SOCKET).unlink(missing_ok=True)
        hosts = "127.0.0.1 ::1" if spec.at is not None and ports.has_ipv6() else "127.0.0.1"
        settings = {
            "bind": hosts,
            "port": str(port),
            "unixsocket": str(folder / SOCKET),
            "unixsocketperm": "700",
            "dir": str(data),
            "save": "",
            "appendonly": "yes" if durable else "no",
            "appendfsync": "always" if durable else "no",
            "daemonize": "no",
        }
        argv = [str(self._program(binaries)), str(data / _CONF)]
        for name, value in settings.items():
            # "bind" takes several words, and an empty "save" is one.
            argv += [f"--{name}", *(value.split() if name == "bind" else [value])]
        return Launch(
            argv=tuple(argv),
            env={"LC_ALL": "C"},
            cwd=folder,
            log=folder / "log",
            stop_signal=signal.SIGTERM,
            die_signal=signal.SIGKILL,
        )

    def admin(self, port: int, password: str) -> Address:
        """Our own user on a server that we run."""
        return Address(scheme="redis", host="127.0.0.1", port=port, user=ROLE, password=password, database="0")

    def answers(self, endpoint: Endpoint) -> bool:
        """PING. False while it is still starting, loading its data, or refuses us."""
        wire = Wire(endpoint, timeout=5)
        try:
            return bool(wire.ask("PING") == b"PONG")
        except (ReplyError, ServerLost):
            return False
        finally:
            wire.close()

    def asked_version(self, endpoint: Endpoint) -> str:
        """The version that a running server tells. Raises `ProviderError` if it can't be reached, or refuses us."""
        wire = Wire(endpoint, timeout=5)
        try:
            told = information(wire.ask("INFO", "server"))
        except (ReplyError, ServerLost) as error:
            raise not_accepted(endpoint, error, "user and password") from None
        finally:
            wire.close()
        return self._shown(redis=told.get("redis_version", ""), valkey=told.get("valkey_version", ""))

    def _shown(self, *, redis: str = "", valkey: str = "") -> str:
        if self._brand == "valkey":
            return valkey
        return f"{redis or _COMPATIBLE}+valkey.{valkey}" if valkey else redis

    def _program(self, binaries: Path) -> Path:
        return next((binaries / name for name in self.executables if (binaries / name).exists()), binaries)


def image(repository: str, program: str, tags: dict[str, str], at: Address | None, *, durable: bool) -> Image:
    """The official image of one of the two, with our users and settings in its configuration."""
    text = (
        _users(">{password}", at, channels=True) + f'bind 0.0.0.0\nsave ""\nappendonly {"yes" if durable else "no"}\n'
    )
    text += "appendfsync always\n" if durable else ""
    conf = "/seatrial/server.conf"
    return Image(repository=repository, tags=tags, port=6379, files={conf: text}, command=(program, conf))


def _users(ours: str, at: Address | None, *, channels: bool) -> str:
    """The lines that make the users: of a password that somebody chose only a hash, which needs no quotation."""
    users = {ROLE: ours, "default": ours}
    if at is not None:
        hashed = f"#{hashlib.sha256(at.password.encode()).hexdigest()}"
        users[at.user or "default"] = hashed if at.password else "nopass"
    rights = f"~*{' allchannels' if channels else ''} +@all"
    return "".join(f"user {name} on {how} {rights}\n" for name, how in users.items())
