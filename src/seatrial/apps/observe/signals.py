"""Flask and Django answer an exception with a page, and announce it by a signal: it is noted with its request."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, MutableSequence
from functools import partial
from typing import Any

from seatrial.apps.exchange import RAISED


class Signals:
    """Listens to those of the two that are in use, between `listen` and `close`."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def listen(self) -> None:
        """From now on; the second call does nothing."""
        if self._undo:
            return
        modules = (("flask", self._flask), ("django.core.signals", self._django))
        for name, note in modules:
            if name in sys.modules:
                signal = sys.modules[name].got_request_exception
                signal.connect(note, weak=False)
                self._undo.append(partial(signal.disconnect, note))

    def close(self) -> None:
        """No longer."""
        while self._undo:
            self._undo.pop()()

    def _flask(self, sender: Any, *, exception: BaseException, **_: Any) -> None:  # noqa: ARG002 - Flask's signature
        """Flask tells it in the context of the request that raised it."""
        _note(sys.modules["flask"].request.environ, exception)

    def _django(self, sender: Any, *, request: Any, **_: Any) -> None:  # noqa: ARG002 - Django's signature
        """Django tells it while it is handled; a request of ASGI has a scope, one of WSGI an environ."""
        held = getattr(request, "scope", None) or getattr(request, "environ", None) or {}
        _note(held, sys.exc_info()[1])


def _note(held: Mapping[str, Any], error: BaseException | None) -> None:
    raised: MutableSequence[BaseException] | None = held.get(RAISED)
    if raised is not None and error is not None:
        raised.append(error)
