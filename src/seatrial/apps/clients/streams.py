"""Bodies on their way, in both directions: each piece is handed over when it is produced."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from seatrial.apps.exchange import Answer, Exchange, Gateway
from seatrial.apps.waking import TooSlow


class Upload:
    """A request's body: each piece goes to the app before the next one is asked for."""

    def __init__(self, stream: Any, gateway: Gateway, exchange: Exchange) -> None:
        self._stream = stream
        self._gateway = gateway
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            wanted = self._gateway.run(self._exchange.upload(piece))
            yield piece
            if not wanted:
                return
        self._gateway.run(self._exchange.uploaded())

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            wanted = await self._gateway.wait(self._exchange.upload(piece))
            yield piece
            if not wanted:
                return
        await self._gateway.wait(self._exchange.uploaded())


class Body:
    """A response's body. What the app raises is raised where it is read to its end, or closed.

    Args:
        gateway: does the steps of `exchange`.
        exchange: the app's answer has begun.
        failed: is told what the app raised, once its call has ended; it may raise that.
        timeout: seconds that a piece may take.
        late: raised where one takes longer.
        broken: raised at the end of a response that the app has broken off, where `failed` raises nothing.
    """

    def __init__(
        self,
        gateway: Gateway,
        exchange: Exchange,
        *,
        failed: Callable[[BaseException], None],
        timeout: float | None,
        late: Exception,
        broken: Exception | None,
    ) -> None:
        self._gateway = gateway
        self._exchange = exchange
        self._failed = failed
        self._timeout = timeout
        self._late = late
        self._broken = broken
        self._over = False

    def __iter__(self) -> Iterator[bytes]:
        __tracebackhide__ = True
        while True:
            try:
                pieces = self._gateway.run(self._exchange.pieces(), self._timeout)
            except TooSlow:
                raise self._late from None
            if not pieces:
                break
            yield from pieces
        self._over = True
        self._end(self._gateway.run(self._exchange.answer()))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        __tracebackhide__ = True
        while True:
            try:
                pieces = await self._gateway.wait(self._exchange.pieces(), self._timeout)
            except TooSlow:
                raise self._late from None
            if not pieces:
                break
            for piece in pieces:
                yield piece
        self._over = True
        self._end(await self._gateway.wait(self._exchange.answer()))

    def close(self) -> None:
        """The client goes away, where the response is not over; returns when the app's call has ended."""
        __tracebackhide__ = True
        if not self._over:
            self._gateway.run(self._exchange.leave())
            self._over = True
            self._settle(self._gateway.run(self._exchange.answer()).error)

    async def aclose(self) -> None:
        """The same. Where the test is being cancelled, the app's call is cancelled too."""
        __tracebackhide__ = True
        if self._over:
            return
        self._over = True
        try:
            await self._gateway.wait(self._exchange.leave())
        except BaseException:
            self._gateway.drop(self._exchange.leave())
            raise
        self._settle((await self._gateway.wait(self._exchange.answer())).error)

    def _end(self, answer: Answer) -> None:
        __tracebackhide__ = True
        whole, error = answer.whole, answer.error
        del answer  # as in `_settle`
        try:
            self._settle(error)
        finally:
            del error
        if not whole and self._broken is not None:
            raise self._broken

    def _settle(self, error: BaseException | None) -> None:
        __tracebackhide__ = True
        if error is not None:
            try:
                self._failed(error)
            finally:
                del error  # the traceback holds this frame: no cycle that keeps the app's objects alive
