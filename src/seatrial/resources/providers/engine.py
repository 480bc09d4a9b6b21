"""Runs one container in the foreground: the process that a supervisor owns in the place of a server.

The container is made once, stopped with this process and started again by the next, so that its data lasts as long as
the server's folder. There is no container that watches over others: what a crash has left running, or what belongs to
a folder that is gone, is found by its label and ended by the next that starts.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

from seatrial.core.locks import is_held

LABEL = "io.seatrial.folder"
"""On every container of ours: the folder of the server that it is."""
OWNER = "io.seatrial.owner"
"""The machine and the cache that it belongs to: others may use the same engine, and theirs are never touched."""
_SHAPE = "io.seatrial.shape"
_GRACE = 10
"""Seconds that the server in it gets to end by itself."""


def main() -> None:
    """Run what the orders in the first argument say; end with the container's own status."""
    import docker

    orders = json.loads(sys.argv[1])
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    client = docker.DockerClient(base_url=orders["engine"], timeout=60)
    try:
        sweep(client, orders["owner"], orders["folder"])
        container, fresh = have(client, orders)
        container.start()
        status = _follow(container, asked, "all" if fresh else 0)
    except docker.errors.DockerException as error:
        sys.stdout.write(f"the engine at {orders['engine']} refuses: {error}\n")
        sys.exit(1)
    sys.exit(status)


def sweep(client: Any, owner: str, own: str) -> None:
    """Stop what outlived its supervisor, and remove what belongs to a folder that is gone; only of this owner."""
    import docker

    for container in client.containers.list(all=True, filters={"label": f"{OWNER}={owner}"}):
        folder = Path(container.labels.get(LABEL, ""))
        with contextlib.suppress(docker.errors.APIError):  # another of us is at it
            if not folder.is_dir():
                container.remove(force=True, v=True)
            elif str(folder) == own or not is_held(folder / "running"):
                container.stop(timeout=_GRACE)


def have(client: Any, orders: dict[str, Any]) -> tuple[Any, bool]:
    """The container that the orders describe, and whether it is new, or of an earlier run."""
    import docker

    try:
        found = client.containers.get(orders["name"])
        if found.labels.get(OWNER) != orders["owner"]:
            sys.stdout.write(f"there is a container called {orders['name']} that is not ours: rename or remove it\n")
            sys.exit(1)
        if found.labels.get(_SHAPE) == orders["shape"]:
            return found, False
        found.remove(force=True, v=True)
    except docker.errors.NotFound:
        pass
    try:
        client.images.get(orders["image"])
    except docker.errors.ImageNotFound:
        sys.stdout.write(f"pulling {orders['image']}\n")
        sys.stdout.flush()
        client.images.pull(*orders["image"].rsplit(":", 1))
    container = client.containers.create(
        orders["image"],
        command=orders["command"] or None,
        name=orders["name"],
        environment=orders["env"],
        labels={LABEL: orders["folder"], OWNER: orders["owner"], _SHAPE: orders["shape"]},
        # The loopback interface only.
        ports={f"{orders['inside']}/tcp": ("127.0.0.1", orders["port"])},
    )
    if orders["files"]:
        container.put_archive("/", _tar(orders["files"]))
    return container, True


def _follow(container: Any, asked: threading.Event, lines: str | int) -> int:
    """Its log becomes ours, until it ends or we are asked to end it."""

    def write() -> None:
        for chunk in container.logs(stream=True, follow=True, tail=lines):
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
        ended.set()

    ended = threading.Event()
    threading.Thread(target=write, daemon=True).start()
    while not ended.wait(0.05):
        if asked.is_set():
            container.stop(timeout=_GRACE)
            break
    return int(container.wait(timeout=_GRACE * 2)["StatusCode"])


def _tar(files: dict[str, str]) -> bytes:
    """The files as the engine takes them, readable for whatever user runs the server in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, source in files.items():
            content = Path(source).read_bytes()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
