"""An address of one service for another: what comes there is passed on unchanged, and so is the answer."""

from __future__ import annotations

import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from seatrial.core import wait
from seatrial.services.edge import Edge, Reply
from seatrial.services.forward import forward


def test_method_target_headers_and_body_arrive_and_the_answer_comes_back(edge):
    calls = []

    def answer(call):
        calls.append(call)
        return Reply(status=201, headers=[("X-Made", "yes"), ("Connection", "close")], body=[b"a", b"", b"b"])

    here = edge(answer)
    with httpx.Client(base_url=here.url) as client:
        response = client.request("PATCH", "/levels/a%20b?full=1", content=b"body", headers={"X-Asked": "why"})
        streamed = client.post("/upload", content=iter([b"one", b"two"]))
    assert (response.status_code, response.headers["x-made"], response.content) == (201, "yes", b"ab")
    assert streamed.status_code == 201
    assert [(call.method, call.target, call.body) for call in calls] == [
        ("PATCH", "/levels/a%20b?full=1", b"body"),
        ("POST", "/upload", b"onetwo"),
    ]
    assert ("x-asked", "why") in [(name.lower(), value) for name, value in calls[0].headers]


def test_an_answer_without_a_body_has_none(edge):
    here = edge(lambda call: Reply(status=204, headers=[], body=[]))
    with httpx.Client(base_url=here.url) as client:
        assert client.delete("/x").status_code == 204
        assert client.head("/x").content == b""
        assert client.delete("/x").status_code == 204, "the connection is still good"


def test_where_nobody_answers_the_caller_is_told_so(edge):
    def answer(call):
        raise ConnectionRefusedError(111, "Connection refused")

    response = httpx.get(edge(answer).url)
    assert (response.status_code, "nobody answered" in response.text) == (502, True)


def test_forward_passes_a_call_on_to_a_port_and_its_answer_back_as_it_comes(edge):
    go_on = threading.Event()

    class Stock(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))
            go_on.wait(10)
            self.wfile.write(b"3\r\nend\r\n0\r\n\r\n")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Stock) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        here = edge(lambda call: forward("127.0.0.1", server.server_port, call))
        with httpx.stream("POST", f"{here.url}/x", content=b"begin") as response:
            pieces = response.iter_bytes()
            assert next(pieces) == b"begin"
            go_on.set()
            assert b"".join(pieces) == b"end"
        server.shutdown()


@pytest.mark.parametrize("content", [b"whole", iter([b"in ", b"pieces"])], ids=["whole", "in pieces"])
def test_forward_passes_a_body_on_with_its_length_and_a_response_of_known_length_is_whole(edge, content):
    heard = []

    class Stock(BaseHTTPRequestHandler):
        def do_POST(self):
            lengths = self.headers.get_all("content-length")
            heard.append((lengths, self.rfile.read(int(lengths[0]))))
            self.send_response(200)
            self.send_header("content-length", "4")
            self.end_headers()
            self.wfile.write(b"done")

        def log_message(self, *_):
            pass

    def answer(call):
        reply = forward("127.0.0.1", server.server_port, call)
        return Reply(status=reply.status, headers=reply.headers, body=list(reply.body), leave=reply.leave)

    with ThreadingHTTPServer(("127.0.0.1", 0), Stock) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        assert httpx.post(edge(answer).url, content=content).content == b"done"
        server.shutdown()
    said = b"whole" if isinstance(content, bytes) else b"in pieces"
    assert heard == [([str(len(said))], said)]


def test_an_answer_that_stands_still_is_left_when_its_caller_leaves(edge):
    go_on, left = threading.Event(), threading.Event()

    def still():
        yield b"first"
        go_on.wait(30)

    def leave():
        left.set()
        go_on.set()

    here = edge(lambda call: Reply(status=200, headers=[], body=still(), leave=leave))
    with httpx.stream("GET", here.url) as response:
        pieces = response.iter_bytes()  # kept: one that is forgotten closes the connection
        assert next(pieces) == b"first"
        assert not left.is_set()
    assert left.wait(20)
    here.settle()
    assert wait.until(lambda: not here._server.answering, timeout=20), "nobody waits for it after the next test"


def test_a_process_sees_that_who_read_its_stream_has_gone(edge):
    gone = threading.Event()

    class Stock(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nfirst\r\n")
            self.connection.settimeout(30)
            if self.connection.recv(1) == b"":
                gone.set()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Stock) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        here = edge(lambda call: forward("127.0.0.1", server.server_port, call))
        with httpx.stream("GET", here.url) as response:
            assert next(response.iter_bytes()) == b"first"
        assert gone.wait(20)
        server.shutdown()


def test_its_port_is_fixed_before_it_answers_and_free_after_it_is_closed(edge):
    here = Edge("a", "b", lambda call: Reply(status=200, headers=[], body=[]))
    assert here.url == f"http://127.0.0.1:{here.port}"
    here.open()
    assert httpx.get(here.url).status_code == 200
    here.close()
    with pytest.raises(OSError, match="refused"):
        http.client.HTTPConnection("127.0.0.1", here.port, timeout=1).connect()


def raw(edge, request):
    """What comes back on a connection that its caller does not close."""
    with socket.create_connection((edge.host, edge.port), timeout=20) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_who_speaks_http_1_0_gets_a_body_that_ends_with_its_connection(edge):
    here = edge(lambda call: Reply(status=200, headers=[("X-Made", "yes")], body=[b"one", b"two"]))
    head, _, body = raw(here, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").partition(b"\r\n\r\n")
    assert body == b"onetwo"
    assert b"transfer-encoding" not in head.lower()


def test_a_target_that_is_not_ascii_arrives_as_urls_are_written(edge):
    calls = []

    class Stock(BaseHTTPRequestHandler):
        def do_GET(self):
            calls.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Stock) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        here = edge(lambda call: forward("127.0.0.1", server.server_port, call))
        asked = "GET /café%20b?of=tea&é HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        assert raw(here, asked).startswith(b"HTTP/1.1 204")
        server.shutdown()
    assert calls == ["/caf%C3%A9%20b?of=tea&%C3%A9"]
