"""How a NATS server runs as a local process: its users, its JetStream, and whether it answers."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import ClassVar

from seatrial.core.folders import digest
from seatrial.errors import ProviderError
from seatrial.resources.kinds.nats.wire import Failure, Wire
from seatrial.resources.protocol import Address, Endpoint, Launch, Run, ServerSpec
from seatrial.resources.versions import Versions, not_accepted

USER = "seatrial"
"""Ours, and the app's where `at` names no other: whatever name somebody may choose there, it is another."""
_CONF = "server.conf"


class NatsProgram:
    """`protocol.Program` of NATS 2.9 and later, which can take and restore streams."""

    executables: ClassVar[tuple[str, ...]] = ("nats-server",)
    refuses_root: ClassVar[bool] = False

    def __init__(self) -> None:
        self._versions = Versions(r"v(\d+\.\d+\.\d+)")

    def version(self, binaries: Path) -> str:
        """The version of the server in this folder. Raises `ProviderError` if it can't be run."""
        return self._versions.of(binaries / self.executables[0])

    def lacks(self, binaries: Path, spec: ServerSpec) -> str | None:
        """What this server does not have, or None."""
        del spec
        major, minor, _ = map(int, self.version(binaries).split("."))
        return None if (major, minor) >= (2, 9) else "NATS before 2.9 is not supported"

    def fingerprint(self, binaries: Path, spec: ServerSpec) -> str:
        """A key of everything that shapes a fresh data folder: the users."""
        return digest(f"{self.version(binaries)} {USER} {spec.at.url() if spec.at else ''} {spec.durable}", 16)

    def initialise(self, binaries: Path, data: Path, spec: ServerSpec, password: str, run: Run) -> None:  # noqa: ARG002 - nothing has to be run
        """Write down the users: on a command line everybody could read their passwords."""
        data.mkdir(mode=0o700)
        users = {USER: password}
        if spec.at is not None and spec.at.user:
            users[spec.at.user] = spec.at.password
        lines = [f"{{user: {_quoted(name)}, password: {_quoted(secret)}}}" for name, secret in users.items()]
        text = f"authorization {{ users = [{', '.join(lines)}] }}\n"
        if spec.at is not None and not spec.at.user:
            text += f"no_auth_user: {USER}\n"
        if spec.durable:
            text += "jetstream { sync_interval: always }\n"
        conf = data / _CONF
        conf.touch(mode=0o600)
        conf.write_text(text, encoding="utf-8")

    def launch(self, binaries: Path, data: Path, folder: Path, spec: ServerSpec, port: int, durable: bool) -> Launch:  # noqa: ARG002 - the protocol's
        """The process to run: on the loopback interface only."""
        argv = [str(binaries / self.executables[0]), "-c", str(data / _CONF), "-a", "127.0.0.1", "-p", str(port)]
        return Launch(
            argv=(*argv, "-js", "-sd", str(data)),
            cwd=folder,
            log=folder / "log",
            stop_signal=signal.SIGTERM,
            die_signal=signal.SIGKILL,
        )

    def admin(self, port: int, password: str) -> Address:
        """The one user that we and the app share: NATS keeps no rights of its own in its streams."""
        return Address(scheme="nats", host="127.0.0.1", port=port, user=USER, password=password)

    def answers(self, endpoint: Endpoint) -> bool:
        """JetStream tells about itself. False while it is still starting."""
        wire = Wire(endpoint, timeout=5)
        try:
            wire.api("INFO")
        except (Failure, ProviderError):
            return False
        else:
            return True
        finally:
            wire.close()

    def asked_version(self, endpoint: Endpoint) -> str:
        """The version that a running server tells. Raises `ProviderError` if it can't be reached, or refuses us."""
        wire = Wire(endpoint, timeout=5)
        try:
            return wire.version()
        except (OSError, EOFError) as error:
            raise not_accepted(endpoint, error, "user and password") from None
        finally:
            wire.close()


def _quoted(text: str) -> str:
    """A string of its configuration, which knows fewer escapes than JSON."""
    return json.dumps(text, ensure_ascii=False)
