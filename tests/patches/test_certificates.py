"""PyMySQL's search for certificates is not paid for by each connection, and what is encrypted stays encrypted."""

from __future__ import annotations

import ssl

import pymysql
import pytest

from seatrial.patches.certificates import read_once


@pytest.fixture
def patch():
    patch = read_once()
    patch.apply()
    yield patch
    patch.undo()


def connection(**arguments):
    return pymysql.Connection(host="127.0.0.1", defer_connect=True, **arguments)


def test_connections_that_ask_for_nothing_share_what_was_read_for_the_first(patch, monkeypatch):
    first = connection()
    monkeypatch.setattr(ssl, "create_default_context", lambda *asked, **options: pytest.fail("it reads them again"))
    assert connection().ctx is first.ctx
    assert first.ctx.verify_mode == ssl.CERT_NONE


def test_who_asks_for_encryption_or_for_none_has_a_context_of_his_own_or_none(patch):
    shared = connection().ctx
    assert connection(ssl_verify_cert=True).ctx is not shared
    assert connection(ssl_verify_cert=True).ctx.verify_mode == ssl.CERT_REQUIRED
    assert not connection(ssl_disabled=True).ssl


def test_the_library_is_as_it_was_when_the_patch_is_undone(patch):
    patch.undo()
    assert connection().ctx is not connection().ctx
