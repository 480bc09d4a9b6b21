"""A response that its service breaks off is broken off for the caller too, at once: it is never taken for a whole one."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from seatrial.services.edge import Reply
from seatrial.services.forward import forward


@pytest.fixture
def dying(edge):
    """The address of a service that dies in the midst of its response, which has these headers and this body."""
    stop = []

    def make(header, value, body):
        class Stock(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(200)
                self.send_header(header, value)
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Stock)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        stop.extend([server.server_close, server.shutdown])
        return edge(lambda call: forward("127.0.0.1", server.server_port, call)).url

    yield make
    while stop:
        stop.pop()()


def broken_off(url):
    with httpx.stream("GET", url) as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"first"
        with pytest.raises(httpx.RemoteProtocolError):
            next(pieces)


def failing():
    yield b"first"
    raise ConnectionError("the shelf fell down")


@pytest.mark.parametrize("headers", [[], [("content-length", "100")]])
def test_an_app_that_fails_in_the_midst_of_its_response(edge, headers):
    broken_off(edge(lambda call: Reply(status=200, headers=headers, body=failing())).url)


def test_an_app_that_sends_less_than_it_said(edge):
    broken_off(edge(lambda call: Reply(status=200, headers=[("Content-Length", "100")], body=[b"first"])).url)


def test_an_app_that_sends_more_than_it_said_disturbs_no_other_response(edge):
    here = edge(lambda call: Reply(status=200, headers=[("content-length", "5")], body=[b"fir", b"st and more"]))
    with httpx.Client(base_url=here.url) as client:
        assert [client.get("/").content for _ in range(2)] == [b"first", b"first"]


@pytest.mark.parametrize(
    ("header", "value", "body"),
    [("content-length", "100", b"first"), ("transfer-encoding", "chunked", b"5\r\nfirst\r\n")],
)
def test_a_process_that_dies_in_the_midst_of_its_response(dying, header, value, body):
    broken_off(dying(header, value, body))


def test_a_process_whose_response_ends_with_its_connection_is_whole(dying):
    assert httpx.get(dying("x-stock", "3", b"first")).content == b"first"
