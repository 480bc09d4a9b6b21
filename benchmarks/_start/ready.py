"""How long a server of ours takes to be ready, and a second run to attach to it: without pytest, and its client imported."""

from __future__ import annotations

import os
import time
from pathlib import Path

from seatrial.core import wait
from seatrial.resources import registry
from seatrial.resources.protocol import Requirements
from seatrial.resources.resolve import resolve
from seatrial.resources.supervisor import client


def ready(name: str, project: Path, runs: int) -> tuple[list[float], list[float], str]:
    """Seconds until it answers, from its cached data folder; seconds to attach while it is up; which server it was."""
    spec = registry.kind(name).spec(Requirements(project=project))
    provider = resolve(spec).provider
    cold, warm = [], []
    os.environ["SEATRIAL_IDLE"] = "0"
    for _ in range(runs + 1):
        server = provider.reserve(spec)
        before = time.perf_counter()
        assert server.start() is False
        cold.append(time.perf_counter() - before)
        server.release()
        assert wait.until(lambda server=server: not server.instance.alive, timeout=60)
    os.environ["SEATRIAL_IDLE"] = "60"
    for _ in range(runs + 1):
        server = provider.reserve(spec)
        before = time.perf_counter()
        server.start()
        warm.append(time.perf_counter() - before)
        server.release()
    client.down(server.instance)
    endpoint = server.endpoint
    # The first has made the cache, and imported the driver; the first of the warm ones has started the server.
    return cold[1:], warm[1:], f"{endpoint.kind} {endpoint.version} ({endpoint.provider})"
