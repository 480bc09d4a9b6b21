"""A server that runs on this machine, from a folder of binaries: what `embedded` and `binary` share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from seatrial.core import folders, guise, ports, processes, wait
from seatrial.core.locks import FileLock
from seatrial.errors import ConfigError, ProviderError, Refused
from seatrial.resources.protocol import Endpoint, Program, ServerSpec
from seatrial.resources.providers import data
from seatrial.resources.providers.data import DataFolder
from seatrial.resources.providers.fit import executable
from seatrial.resources.providers.spawn import READY, Spawning
from seatrial.resources.supervisor import client
from seatrial.resources.supervisor.client import Hold
from seatrial.resources.supervisor.instance import Reserved, place


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """The folder that holds a server."""

    folder: Path
    copy: Callable[[Path], Path]
    """From that folder to a copy of it which every user can read: called where it is closed to the one who needs it."""
    apart: bool = False
    """Whether the server sees neither our folders nor our sockets: it is in a container."""


def reserve(spec: ServerSpec, provider: str, binaries: Binaries, port: int = 0) -> LocalServer:
    """Fix the address of the server for `spec`: the same from run to run. Starts nothing.

    Args:
        spec: what is wanted.
        provider: the name of the provider, for the report.
        binaries: the folder that holds the server.
        port: one that another process of this run has reserved.
    """
    program = _program(spec)
    if spec.at is not None and spec.at.host not in ports.LOOPBACK:
        raise ConfigError(
            f'a server of ours can\'t answer at "{spec.at.host}" (key `at`)',
            cause="it listens on this machine's loopback interface only",
            fix=f'write localhost, or use `url` if a server runs at "{spec.at.host}"',
        )
    ours = program.admin(0, "").user
    if spec.at is not None and ours and spec.at.user == ours:
        raise ConfigError(
            f'the user "{ours}" (key `at`) is Seatrial\'s own',
            cause="it is how Seatrial brings back each copy, with a password that nobody else knows",
            fix="name another user",
        )
    store = folders.cache().path
    version = program.version(binaries.folder)
    if spec.exclusive:
        reserved, hold = _alone(spec, provider, binaries.folder, store)
    else:
        name = key(spec, provider, binaries.folder)
        reserved = place(store, name, fixed=spec.at.port if spec.at else port, durable=spec.durable)
        hold = None
    instance = reserved.instance
    endpoint = Endpoint(
        kind=spec.kind,
        provider=provider,
        version=version,
        admin=program.admin(int(instance.about()["port"]), data.password(store)),
        socket_folder=None if binaries.apart else instance.folder,
        log=instance.log,
    )
    server = LocalServer(spec, endpoint, binaries, reserved, hold)
    server.describe()
    server.keep_up()
    return server


def _alone(spec: ServerSpec, provider: str, binaries: Path, store: Path) -> tuple[Reserved, FileLock]:
    """The first server of its sort that nobody else uses, and the lock that makes it ours until we end.

    Raises:
        Refused: there is only one, since its port is fixed, and another process has it.
    """
    for number in count():
        name = key(spec, provider, binaries, number)
        reserved = place(store, name, fixed=spec.at.port if spec.at else 0, durable=spec.durable)
        hold = FileLock(reserved.instance.folder / "taken")
        if hold.try_acquire():
            if spec.at is not None or not client.pinned(reserved.instance):
                return reserved, hold
            hold.release()  # it is somebody's for development, until `down`
        reserved.close()
        if spec.at is not None:
            raise Refused(
                f"the {spec.kind} server on port {spec.at.port} is in use",
                cause="another run serves its copy there: such a server serves one run at a time",
                fix="wait until it has ended, or remove `at`: each run then has a server of its own",
            )
    raise AssertionError("numbers do not end")


def key(spec: ServerSpec, provider: str, binaries: Path, number: int = 0) -> str:
    """Which server this is: one for a fixed port of this machine, otherwise one for each project, spec and environment.

    Two virtual environments of one project (as tox makes them) may bring different servers, and run at once.
    `number` counts those of which each serves one worker at a time.
    """
    if spec.at is not None:
        return folders.digest(json.dumps([spec.kind, "at", spec.at.port]))
    parts: list[object] = [spec.kind, str(spec.project), spec.version, sorted(spec.extensions), spec.durable]
    parts += [provider, str(binaries), *([dict(spec.data)] if spec.data else [])]
    return folders.digest(json.dumps([*parts, number] if number else parts))


def shape(spec: ServerSpec) -> str:
    """A key of all servers of one resource: of any provider, and of all that serve one worker each."""
    parts = [spec.kind, spec.version, sorted(spec.extensions), spec.durable, spec.at.port if spec.at else 0]
    return folders.digest(json.dumps([*parts, dict(spec.data)]))


def idle_seconds(spec: ServerSpec) -> float:
    """How long a server stays up after its last holder: the configuration's, $SEATRIAL_IDLE, or 5 s (on CI 1 s).

    The variable is part of a configuration, below the command line; it is read here for whoever has none.

    Raises:
        ConfigError: the variable is no number.
    """
    if spec.idle is not None:
        return spec.idle
    if named := os.environ.get("SEATRIAL_IDLE", ""):
        try:
            return max(float(named), 0.0)
        except ValueError:
            raise ConfigError(f'SEATRIAL_IDLE is "{named}"', fix="set it to a number of seconds, such as 5") from None
    return 1.0 if os.environ.get("CI") else 5.0


class LocalServer:
    """A server of ours: `protocol.Server`."""

    def __init__(
        self,
        spec: ServerSpec,
        endpoint: Endpoint,
        binaries: Binaries,
        reserved: Reserved,
        alone: FileLock | None = None,
    ) -> None:
        self.spec = spec
        self.instance = reserved.instance
        self._endpoint = endpoint
        self._binaries = binaries
        self._spawning = Spawning(spec, endpoint, reserved.instance)
        self._reserved = reserved
        self._alone = alone
        self._hold: Hold | None = None
        self._early: Hold | None = None
        self._pinned = False

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers, once it runs."""
        return self._endpoint

    def describe(self) -> None:
        """Write down what it is, for whoever lists servers."""
        endpoint = self._endpoint
        about = {"project": str(self.spec.project), "kind": endpoint.kind, "provider": endpoint.provider}
        about["shape"] = shape(self.spec)
        port, version = endpoint.admin.port, endpoint.version
        self.instance.describe({**self.instance.about(), **about, "version": version, "port": port})

    def keep_up(self) -> None:
        """If the server runs, let it run on: else it may end by itself, and somebody take its port, before `start`."""
        if self._reserved.port is None:
            wait.until(self._is_kept_up, timeout=READY)

    def _is_kept_up(self) -> bool:
        found = client.attach(self.instance, self._spawning.settings, idle_seconds(self.spec))
        if isinstance(found, Hold):
            self._early = found
        elif found is None and self.instance.alive:
            return False  # it is just starting, or ending
        elif found is None:
            self._reserved.port = ports.hold(self._endpoint.admin.port)
        return True

    def start(self) -> bool:
        """Run it, or attach to it where it runs; returns whether it already ran.

        Raises:
            ProviderError: it did not start; with its command line, exit status and the end of its log.
        """
        if self._hold is not None:
            if self._hold.alive():
                return True
            self._hold.close()
            self._hold = None
        try:
            if self._attach():
                return True
            with self.instance.lock("starting the server", timeout=READY * 2):
                if self._attach():
                    return True
                client.settle(self.instance)
                with folders.enough_room(self.instance.folder):
                    self._run()
            if self._pinned:
                self._pinned = not client.pin(self.instance, up=True)
            return False
        finally:
            if self._early is not None:
                self._early.close()

    def alive(self) -> bool:
        """Whether the server that was started still runs, without a round trip."""
        return self._hold is not None and self._hold.alive()

    def log_tail(self, since: int = 0) -> str:
        """The end of the server's log (at most 60 lines), from byte `since` on."""
        return self._spawning.log_tail(since)

    def log_size(self) -> int:
        """The size of the log in bytes."""
        return self._spawning.log_size()

    def end(self) -> None:
        """End it now, whoever holds it. Where it is kept up without holders, it is so when we start it again."""
        self._pinned = client.pinned(self.instance)
        client.down(self.instance)

    def release(self) -> None:
        """Give up this process's hold, and the reserved port."""
        self._reserved.close()
        for hold in filter(None, (self._early, self._hold)):
            hold.close()
        self._hold = self._early = None
        if self._alone is not None:
            self._alone.release()

    def _attach(self) -> bool:
        found = client.attach(self.instance, self._spawning.settings, idle_seconds(self.spec))
        if isinstance(found, client.Status):
            if found.holders or found.pinned:
                raise ProviderError(
                    f"the server on port {found.port} runs already, for {found.project}, with other settings",
                    cause=f"{found.holders} test run(s) hold it: {found.kind} {found.version} from {found.provider}",
                    fix="wait for them, or end it: `seatrial down`",
                )
            client.down(self.instance)
            return False
        if found is None:
            return False
        if not found.ready:
            try:
                self._spawning.wait_for(found, 0)
                found.tell_ready()  # whoever started it may be gone
            except ProviderError:
                # Whoever started it is told why, and may try again; then it is our turn.
                found.close()
                return False
        self._hold = found
        return True

    def _run(self) -> None:
        binaries, program = self._binaries.folder, _program(self.spec)
        runs = executable(binaries, program)
        disguise, closed = guise.choose(runs) if runs and program.refuses_root else ("", False)
        if closed:
            binaries = self._binaries.copy(binaries)
        if guise.owner(disguise)[0] >= 0:
            self.instance.folder.parent.chmod(0o711)
            data.give(self.instance.folder, disguise)
        self._claim_port()
        folder = DataFolder(
            instance=self.instance,
            store=folders.cache().path,
            spec=self.spec,
            program=program,
            binaries=binaries,
            guise=disguise,
        )
        idle = idle_seconds(self.spec)
        self._hold = self._spawning.spawn(folder, idle) or self._spawning.spawn(folder, idle)
        if self._hold is None:
            # The folder that an earlier run left is broken, or a process that nobody can end still uses it.
            folder.discard()
            self._hold = self._spawning.spawn(folder, idle)

    def _claim_port(self) -> None:
        """Have the port free for the server: held by us where it can listen beside us, else let go just now."""
        port = self._endpoint.admin.port
        held = self._reserved.port = self._reserved.port or ports.hold(port)
        if held is None:
            who = processes.listener(port)
            raise ProviderError(
                f"port {port} is taken" + (f" by {who}" if who else ""),
                cause="it is a server that Seatrial did not start",
                fix=f"end it, name it by `url` to use it, or take another port: ss -ltnp 'sport = :{port}' shows it",
            )
        if self._binaries.apart:
            held.close()
        if not held.lend():
            self._reserved.port = None


def _program(spec: ServerSpec) -> Program:
    assert spec.program is not None, "a kind without a server needs no provider"
    return spec.program
