"""Passes a call on to a service that listens on a port of its own, and its answer back piece by piece."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import suppress

from seatrial.services.edge import Call, Reply

PIECE = 65536


def forward(host: str, port: int, call: Call) -> Reply:
    """The answer of whoever listens there. Raises OSError where nobody does, and its body where it is broken off."""
    connection = http.client.HTTPConnection(host, port)
    try:
        connection.putrequest(call.method, call.target, skip_host=True, skip_accept_encoding=True)
        told = {name.lower() for name, _ in call.headers}
        for name, value in call.headers:
            connection.putheader(name, value)
        if "host" not in told:
            connection.putheader("host", f"{host}:{port}")
        if call.body and "content-length" not in told:
            connection.putheader("content-length", str(len(call.body)))
        connection.putheader("connection", "close")
        connection.endheaders(call.body or None)
        line: socket.socket = connection.sock
        response = connection.getresponse()
    except http.client.HTTPException as error:
        connection.close()
        raise ConnectionError(f"{type(error).__name__}: {error}") from error
    except BaseException:
        connection.close()
        raise

    def leave() -> None:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    pieces = _pieces(connection, response)
    return Reply(status=response.status, headers=response.getheaders(), body=pieces, leave=leave)


def _pieces(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Iterator[bytes]:
    due = response.length or 0  # None where it is not known
    try:
        while piece := response.read1(PIECE):
            due -= len(piece)
            yield piece
        if due > 0:
            raise ConnectionError(f"the connection was closed {due} bytes before the end of the response")
    except http.client.HTTPException as error:
        raise ConnectionError(f"{type(error).__name__}: {error}") from error
    finally:
        response.close()
        connection.close()
