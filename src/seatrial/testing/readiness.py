"""A server is ready when it answers a real query, and not before: somebody who only listens is no server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from seatrial.testing.sample import Sample

_WORDS = (b"", b"-ERR not yet\r\n", b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
"""What somebody says who listens and is no server that is ready: nothing, a refusal in several protocols."""


def ready_is_who_answers_a_real_query(sample: Sample) -> None:
    """Not who only listens, nor who refuses us: `Program.answers` says so, and raises for neither."""
    program = sample.spec.program
    if program is None:
        return
    server = sample.reserve()
    try:
        server.start()
        endpoint = server.endpoint
        assert program.answers(endpoint), "it has started, and does not answer"
        if endpoint.admin.password:
            wrong = replace(endpoint.admin, password=endpoint.admin.password[::-1] + "x")
            assert not program.answers(replace(endpoint, admin=wrong)), "it refuses us, and is taken for ready"
        for words in _WORDS:
            with _somebody(words) as port:
                admin = replace(endpoint.admin, host="127.0.0.1", port=port)
                assert not program.answers(replace(endpoint, admin=admin, socket_folder=None)), (
                    f"whoever accepts a connection and says {words!r} is taken for ready"
                )
    finally:
        server.release()


@contextmanager
def _somebody(words: bytes) -> Iterator[int]:
    """Somebody who says this to whoever connects, and no more. Yields his port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, words), daemon=True)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listening: socket.socket, words: bytes) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:  # we are done
            return
        with connection, suppress(OSError):
            connection.settimeout(1)
            connection.sendall(words)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
