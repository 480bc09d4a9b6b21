"""What the tests of the supervisor share: a folder, and something to supervise that starts at once."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from seatrial.core import processes
from seatrial.resources.supervisor import client
from seatrial.resources.supervisor.instance import Instance

SERVER = (
    "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); print('serving', flush=True); time.sleep(300)"
)


@pytest.fixture
def instance():
    # Not pytest's folder: its path may be too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="st-")) / "i"
    folder.mkdir()
    found = Instance(folder=folder)
    yield found
    client.down(found)
    shutil.rmtree(folder.parent)


@pytest.fixture
def orders(instance):
    """The orders for a supervisor whose server is a Python that waits."""

    def make(program=SERVER, idle=0.05, **changed):
        return {
            "argv": [sys.executable, "-I", "-S", "-c", program],
            "env": {"PATH": os.environ["PATH"], processes.NONCE: "n0nce"},
            "cwd": str(instance.folder),
            "log": str(instance.log),
            "stop_signal": signal.SIGTERM,
            "die_signal": signal.SIGKILL,
            "guise": "",
            "want": "this",
            "idle": idle,
            "nonce": "n0nce",
            **changed,
        }

    return make
