"""A server of SeaweedFS is one process with everything in its own folder, and nothing is left of it."""

from __future__ import annotations

from pathlib import Path

from seatrial.core import wait
from seatrial.resources.kinds.s3 import S3
from seatrial.resources.providers.embedded import Embedded
from seatrial.resources.supervisor import client


def test_nothing_is_left_beyond_its_folder(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    server = Embedded().reserve(S3().spec(project=tmp_path))
    server.start()
    sockets = [Path(path) for path in server.instance.read("launch.json")["outside"]]
    assert len(sockets) == 5
    assert wait.until(lambda: all(socket.is_socket() for socket in sockets), timeout=60)
    server.release()
    assert wait.until(lambda: not server.instance.alive, timeout=20)
    assert not any(socket.exists() for socket in sockets)
    assert list((tmp_path / "t").iterdir()) == []
    client.down(server.instance)
