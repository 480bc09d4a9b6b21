"""One start of a server that runs on this machine: its supervisor, its command, and the wait until it answers."""

from __future__ import annotations

import json
import secrets

from seatrial.core import folders, ports, processes, wait
from seatrial.core.redact import redact
from seatrial.errors import ProviderError
from seatrial.resources.protocol import Endpoint, Launch, ServerSpec
from seatrial.resources.providers import data, logs
from seatrial.resources.providers.data import DataFolder
from seatrial.resources.supervisor import client
from seatrial.resources.supervisor.client import Hold
from seatrial.resources.supervisor.instance import Instance

READY = 60.0
"""Seconds that a server may take to answer; a recovery after a crash takes the longest."""


class Spawning:
    """Starts one server, as often as that is asked for.

    Args:
        spec: what is wanted.
        endpoint: where it will answer.
        instance: its folder, and its log.
    """

    def __init__(self, spec: ServerSpec, endpoint: Endpoint, instance: Instance) -> None:
        self._spec = spec
        self._endpoint = endpoint
        self._instance = instance

    @property
    def settings(self) -> str:
        """A key of what it is started with: a server that runs with other settings is none of ours."""
        spec = self._spec
        shape: list[object] = [self._endpoint.provider, self._endpoint.version, sorted(spec.extensions), spec.durable]
        shape += [dict(spec.data)] if spec.data else []
        return folders.digest(json.dumps(shape))

    def spawn(self, folder: DataFolder, idle: float) -> Hold | None:
        """Start it; None where that failed on a data folder that an earlier run has left.

        Args:
            folder: where it keeps its data.
            idle: seconds that it stays up after its last holder.

        Raises:
            ProviderError: it did not start; with its command line, exit status and the end of its log.
        """
        used = folder.prepare()
        logs.rotate(self._instance.log)  # before the program notes where its log begins
        launch = folder.program.launch(
            folder.binaries,
            self._instance.data,
            self._instance.folder,
            self._spec,
            self._endpoint.admin.port,
            self._spec.durable,
        )
        before = self.log_size()
        with ports.lent(launch.ports):
            hold = client.spawn(self._instance, self._orders(launch, folder.guise, idle))
            try:
                self.wait_for(hold, before)
            except ProviderError:
                hold.close()
                client.end(self._instance)  # at once, however long it may be idle
                client.settle(self._instance)
                if not used:
                    raise
                return None
        hold.tell_ready()
        return hold

    def wait_for(self, hold: Hold, since: int) -> None:
        """Wait until it answers. `since`: where its log begins to be of interest.

        Raises:
            ProviderError: it does not.
        """
        spec, program = self._spec, self._spec.program
        assert program is not None, "a kind without a server needs no provider"
        patience = spec.patience or READY
        answered = wait.until(lambda: not hold.alive() or program.answers(self._endpoint), timeout=patience)
        if answered and hold.alive():
            return
        ended = hold.ended
        hidden = self._secrets
        tail = self.log_tail(since) or logs.tail(self._instance.folder / "supervisor.log", 0, *hidden)
        waited = f" ({spec.ready_when})" if spec.ready_when else ""
        status = f"no answer in {patience:g} s{waited}" if ended is None else f"exit status {ended.status}"
        argv = " ".join(self._instance.read("launch.json").get("argv", ()))
        raise ProviderError(
            redact(f"{spec.kind} did not start ({status}): {argv}", *hidden),
            cause=f"the end of its log:\n{tail}",
            fix="mend what the log tells; `seatrial doctor` checks the rest",
        )

    def log_tail(self, since: int = 0) -> str:
        """The end of the server's log (at most 60 lines), from byte `since` on."""
        return logs.tail(self._instance.log, since, *self._secrets)

    def log_size(self) -> int:
        """The size of the log in bytes."""
        try:
            return self._instance.log.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def _secrets(self) -> tuple[str, ...]:
        """The passwords that it was given, also where its address has none, since only the command knows their use."""
        return data.password(folders.cache().path), self._spec.at.password if self._spec.at else ""

    def _orders(self, launch: Launch, disguise: str, idle: float) -> dict[str, object]:
        nonce = secrets.token_hex(8)
        return {
            "argv": launch.argv,
            "env": {**data.environment(), **launch.env, processes.NONCE: nonce},
            "cwd": str(launch.cwd),
            "log": str(launch.log),
            "stop_signal": int(launch.stop_signal),
            "die_signal": int(launch.die_signal),
            "outside": [str(path) for path in launch.outside],
            "guise": disguise,
            "want": self.settings,
            "idle": idle,
            "nonce": nonce,
        }
