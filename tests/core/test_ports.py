"""A port of ours stays ours, and a server can listen on it."""

from __future__ import annotations

import contextlib
import socket

import pytest

from seatrial.core import ports


@contextlib.contextmanager
def listening(port, host="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
        server.listen()
        yield server


def test_the_same_key_gets_the_same_port_again():
    first = ports.choose("a project", ())
    first.close()
    second = ports.choose("a project", ())
    second.close()
    assert first.port == second.port


def test_a_port_that_another_server_of_ours_has_is_not_handed_out():
    first = ports.choose("a project", ())
    second = ports.choose("a project", {first.port})
    assert first.port != second.port
    first.close()
    second.close()


def test_a_port_that_somebody_listens_on_is_not_handed_out():
    first = ports.choose("a third project", ())
    first.close()
    with listening(first.port):
        second = ports.choose("a third project", ())
        assert second.port != first.port
        second.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_port_that_somebody_listens_on_anywhere_near_can_t_be_held(host):
    if ":" in host and not ports.has_ipv6():
        pytest.skip("this machine has no ::1")
    with listening(0, host) as server:
        assert ports.hold(server.getsockname()[1]) is None


def test_a_server_can_listen_on_a_port_that_is_held():
    held = ports.choose("another project", ())
    if not held.shared:
        held.close()
    with listening(held.port) as server, socket.create_connection(("127.0.0.1", held.port), timeout=5):
        server.accept()[0].close()
    held.close()


def test_the_system_does_not_hand_out_a_port_that_is_held():
    held = ports.choose("a fourth project", ())
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", held.port))
    held.close()
    held.close()


def test_a_port_that_somebody_holds_is_not_handed_out_though_nobody_listens():
    first = ports.choose("a sixth project", ())
    second = ports.choose("a sixth project", ())
    assert second.port != first.port
    assert ports.hold(first.port, alone=True) is None
    first.close()
    second.close()


def test_several_processes_of_a_run_may_hold_the_same_port():
    first = ports.choose("a fifth project", ())
    if not first.shared:
        pytest.skip("this platform does not share ports that nobody listens on")
    second = ports.hold(first.port)
    assert second is not None
    first.close()
    second.close()


def test_ports_that_are_lent_to_a_server_are_nobody_else_s_until_it_listens_and_free_again_when_it_ends():
    key = "a server with a port more"
    chosen = ports.choose(key, ())
    with ports.lent([chosen]):
        other = ports.choose(key, ())
        other.close()
        assert other.port != chosen.port
        with listening(chosen.port):
            pass
    again = ports.choose(key, ())
    again.close()
    assert again.port == chosen.port
