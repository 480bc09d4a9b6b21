"""Reads a body that was compressed on its way, as far as the standard library can."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

_EITHER = zlib.MAX_WBITS | 32
"""The header of gzip, or that of zlib."""
_RAW = -zlib.MAX_WBITS
"""No header: some servers send that as deflate."""
_READ: Mapping[str, tuple[int, ...]] = {"gzip": (_EITHER,), "x-gzip": (_EITHER,), "deflate": (_EITHER, _RAW)}


class Unreadable(Exception):
    """The encoding is not known, or the body is not in it."""


def decoded(body: bytes, encoding: str, largest: int) -> bytes | None:
    """What the body says; None where that is more than `largest` bytes.

    Args:
        body: as it was sent, whole.
        encoding: the Content-Encoding; empty where there was none.
        largest: no more than this is decompressed.

    Raises:
        Unreadable: it can't be told what the body says.
    """
    if encoding in ("", "identity"):
        return body
    for bits in _READ.get(encoding, ()):
        try:
            return _inflated(body, bits, largest)
        except zlib.error:
            continue
    raise Unreadable(encoding)


def _inflated(body: bytes, bits: int, largest: int) -> bytes | None:
    whole = b""
    while body:  # gzip may come in several members
        reader = zlib.decompressobj(bits)
        whole += reader.decompress(body, largest + 1 - len(whole))
        if len(whole) > largest:
            return None
        if not reader.eof:
            raise zlib.error("it ends too early")
        body = reader.unused_data
    return whole
