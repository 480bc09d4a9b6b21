"""The texts of the scripts that a seed loads: no command lists them afterwards, so they are heard meanwhile."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from seatrial.resources.kinds.redis.wire import Wire
from seatrial.resources.protocol import Endpoint

_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.)", re.DOTALL)
_LETTERS: Mapping[bytes, bytes] = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
_END = "seatrial: the end of the seed"


class Scripts:
    """Hears, by MONITOR, every script that is run or loaded while the block runs: only while a template is made."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.texts: dict[bytes, None] = {}
        self._ear = Wire(endpoint, name="seatrial-scripts", timeout=600)
        self._voice = Wire(endpoint)
        self._thread = threading.Thread(target=self._listen, name="seatrial-scripts", daemon=True)

    def __enter__(self) -> Self:
        self._ear.ask("MONITOR")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):  # the server is gone: there is nothing to hear any more
            self._voice.ask("ECHO", _END)
            self._thread.join(timeout=30)
        self._voice.close()
        self._ear.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, EOFError, AttributeError, ValueError):
            while True:
                words = [_plain(word) for word in _WORD.findall(self._ear.next())]
                if words[-1:] == [_END.encode()]:
                    return
                command = [word.lower() for word in words[:2]]
                if command[:1] in ([b"eval"], [b"eval_ro"]) and len(words) > 1:
                    self.texts[words[1]] = None
                elif command == [b"script", b"load"] and len(words) > 2:  # noqa: PLR2004 - SCRIPT LOAD text
                    self.texts[words[2]] = None


def _plain(word: bytes) -> bytes:
    """A word of MONITOR's, without its escapes."""

    def letter(match: re.Match[bytes]) -> bytes:
        if match[1][:1] == b"x" and len(match[1]) > 1:
            return bytes([int(match[1][1:], 16)])
        return _LETTERS.get(match[1], match[1])

    return _ESCAPE.sub(letter, word)
