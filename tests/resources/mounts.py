"""Programs that see file systems which nobody else sees: read-only, small, full."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def _possible():
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode == 0


needs_mounts = pytest.mark.skipif(not _possible(), reason="file systems can't be mounted here")


def behind(mounts, *argv):
    """The command line that runs `argv` where these are mounted, in memory: "-o size=4m none FOLDER"."""
    script = " && ".join([*(f"mount -t tmpfs {mount}" for mount in mounts), 'exec "$@"'])
    return ["unshare", "-Urm", "sh", "-c", script, "sh", *argv]
