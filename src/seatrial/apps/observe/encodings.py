"""Reads a body that was compressed on its way, with the standard library, or with what HTTP clients read it with."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

_EITHER = zlib.MAX_WBITS | 32
"""The header of gzip, or that of zlib."""
_RAW = -zlib.MAX_WBITS
"""No header: some servers send that as deflate."""
_READ: Mapping[str, tuple[int, ...]] = {"gzip": (_EITHER,), "x-gzip": (_EITHER,), "deflate": (_EITHER, _RAW)}
_LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "br": ("brotli", "brotlicffi"),
    "zstd": ("compression.zstd", "backports.zstd", "zstandard"),
}
"""Where an app of this process compresses so, or httpx asks for it, one of them is installed."""
_PIECE = 64
"""Bytes that a library gets at once: not each can be told how much may come of them (with Brotli, up to 100 MB)."""


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
    if encoding in _LIBRARIES:
        return _by_library(body, encoding, largest)
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


def _by_library(body: bytes, encoding: str, largest: int) -> bytes | None:
    for name in _LIBRARIES[encoding]:
        try:
            return _piecewise(body, import_module(name), largest)
        except Exception:  # noqa: BLE001, S112 - it is not installed, or the body is not in it: each has its own error
            continue
    raise Unreadable(encoding)


def _piecewise(body: bytes, library: Any, largest: int) -> bytes | None:
    reader, whole = _reader(library), bytearray()
    for start in range(0, len(body), _PIECE):
        piece = body[start : start + _PIECE]
        while piece:
            if reader.eof:  # Zstandard may come in several frames
                reader = _reader(library)
            whole += reader.decompress(piece)
            if len(whole) > largest:
                return None
            piece = reader.unused_data if reader.eof else b""
    if body and not reader.eof:
        raise ValueError("it ends too early")
    return bytes(whole)


def _reader(library: Any) -> Any:
    if hasattr(library, "Decompressor"):
        return _Brotli(library.Decompressor())
    reader = library.ZstdDecompressor()
    return reader.decompressobj() if hasattr(reader, "decompressobj") else reader


class _Brotli:
    """Brotli's reader, in the words of the others."""

    unused_data = b""

    def __init__(self, reader: Any) -> None:
        self.decompress = reader.process
        self._reader = reader

    @property
    def eof(self) -> bool:
        return bool(self._reader.is_finished())
