"""Looks at each exchange of a WSGI app, between whoever calls it and the app itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from seatrial.apps.exchange import RAISED, RAISES
from seatrial.apps.observe.seen import Seen, Witness, in_one_line


class ObservedWsgi:
    """A WSGI application around another."""

    def __init__(self, app: Any, witness: Witness) -> None:
        self._app = app
        self._witness = witness

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Pass the call on; the exchange is over when the response is closed."""
        __tracebackhide__ = True
        path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
        seen = Seen(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""))
        ticket = self._witness.begins(seen)
        if ticket is None:
            return self._app(environ, start_response)  # type: ignore[no-any-return]  # an app is of any type

        def starting(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            seen.route = _wsgi_route(environ, path)  # now: Flask forgets its request before the response is closed
            seen.starts(int(status.split(" ", 1)[0]), headers)
            write = start_response(status, headers, *error)

            def writing(piece: bytes) -> Any:
                seen.keep(piece)
                return write(piece)

            return writing

        def ended(error: BaseException | None = None) -> None:
            error = error or next(iter(environ.get(RAISED) or ()), None)
            if error is not None:
                seen.error, seen.raised = in_one_line(error), environ.get(RAISES, False)
            seen.ends()
            seen.route = seen.route or _wsgi_route(environ, path)
            self._witness.ended(ticket)

        try:
            answer = self._app(environ, starting)
        except BaseException as error:
            ended(error)
            raise
        return _Body(answer, seen, ended)


class _Body:
    """The response of a WSGI app, looked at on its way; whoever called the app closes it."""

    def __init__(self, answer: Iterable[bytes], seen: Seen, ended: Callable[..., None]) -> None:
        self._answer = answer
        self._seen = seen
        self._ended: Callable[..., None] | None = ended

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._answer:
                self._seen.keep(piece)
                yield piece
            self._seen.completes()
        except BaseException as error:
            self._end(error)
            raise

    def close(self) -> None:
        """Close the app's own response."""
        try:
            close = getattr(self._answer, "close", None)
            if close is not None:
                close()
        finally:
            self._end()

    def _end(self, error: BaseException | None = None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(error)


def _wsgi_route(environ: dict[str, Any], path: str) -> str:
    """Flask's rule, or Django's route, asked for in the words of each."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    if rule is not None:
        return str(rule.rule)
    if "django.core.handlers.wsgi" in sys.modules and "werkzeug.request" not in environ:
        with suppress(Exception):  # no such path, or settings that are not those of this app
            return "/" + str(sys.modules["django.urls"].resolve(path).route)
    return ""
