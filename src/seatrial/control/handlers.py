"""Which endpoint asks the service for what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from seatrial.control.api import messages
from seatrial.control.api.description import describe
from seatrial.control.application import Call, Handler
from seatrial.control.service import Service

_BEAT = 10.0
"""Seconds between two signs of life on a connection that is held."""


class Handlers:
    """One method an endpoint."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def table(self) -> Mapping[str, Handler]:
        """The handler of each endpoint, by its name."""
        names = [name for name in vars(Handlers) if not name.startswith("_") and name != "table"]
        return {name: getattr(self, name) for name in names}

    async def health(self, call: Call) -> messages.Health:
        """It answers."""
        del call
        return self._service.health()

    async def description(self, call: Call) -> dict[str, Any]:
        """The OpenAPI description."""
        del call
        return describe()

    async def resources(self, call: Call) -> messages.Resources:
        """What is configured."""
        del call
        return self._service.resources()

    async def log(self, call: Call) -> messages.Log:
        """The end of a log."""
        return self._service.log(call.path["resource"], call.query.get("since", 0))

    async def open_worker(self, call: Call) -> messages.Worker:
        """A worker's copies."""
        opened = await self._service.open_worker(call.body.worker)
        if await call.request.is_disconnected():
            self._service.worker(call.body.worker).lease.abandon()
        return opened

    async def close_worker(self, call: Call) -> None:
        """A worker is done."""
        await self._service.close_worker(call.path["worker"])

    async def hold(self, call: Call) -> AsyncIterator[bytes]:
        """A stream that ends with the connection, with the worker, or with the server."""
        return self._held(self._service.worker(call.path["worker"]).name)

    async def checkout(self, call: Call) -> messages.Checkout:
        """A test begins."""
        worker = self._service.worker(call.path["worker"])
        with worker.lease.used():
            return await worker.checkout(call.body)

    async def checkin(self, call: Call) -> messages.Checkin:
        """A test is over."""
        worker = self._service.worker(call.path["worker"])
        with worker.lease.used():
            return await worker.checkin(call.body)

    async def next(self, call: Call) -> messages.Next:
        """A test is over, and the next begins."""
        worker = self._service.worker(call.path["worker"])
        with worker.lease.used():
            return await worker.next(call.body)

    async def open_layer(self, call: Call) -> messages.Layer:
        """Rows for several tests come next."""
        worker = self._service.worker(call.path["worker"])
        with worker.lease.used():
            return await worker.open_layer(call.body.name)

    async def lay(self, call: Call) -> messages.Layer:
        """They are written."""
        worker = self._service.worker(call.path["worker"])
        with worker.lease.used():
            return await worker.lay(call.path["id"])

    async def lift(self, call: Call) -> messages.Layer:
        """Their tests are over."""
        worker = self._service.worker(call.path["worker"])
        with worker.lease.used():
            return await worker.lift(call.path["id"])

    async def open_clone(self, call: Call) -> messages.Clone:
        """A copy of the configured template."""
        clone = await self._service.open_clone(call.body)
        await self._give_back_if_gone(call, clone.id)
        return clone

    async def close_clone(self, call: Call) -> None:
        """Its test is over."""
        await self._service.put_back(call.path["id"])

    async def open_template(self, call: Call) -> messages.Template:
        """Found, or begun."""
        return await self._service.open_template(call.body)

    async def finalize(self, call: Call) -> messages.Template:
        """Filled."""
        return await self._service.finalize(call.path["hash"])

    async def discard(self, call: Call) -> None:
        """Given up."""
        await self._service.discard(call.path["hash"])

    async def open_copy(self, call: Call) -> messages.Copy:
        """A copy of a template by hash."""
        taken = await self._service.open_copy(call.path["hash"], call.body.worker)
        await self._give_back_if_gone(call, taken.id)
        return messages.Copy(id=taken.id, hash=taken.hash, resource=taken.resource, url=taken.copy.address.url())

    async def reset(self, call: Call) -> messages.Undone:
        """Back to the baseline."""
        return await self._service.reset(call.path["id"])

    async def keep(self, call: Call) -> messages.Kept:
        """Set aside."""
        return await self._service.keep(call.path["id"])

    async def close_copy(self, call: Call) -> None:
        """Checked in."""
        await self._service.put_back(call.path["id"])

    async def shutdown(self, call: Call) -> messages.Stopping:
        """The server ends when this is answered."""
        del call
        self._service.stopping.set()
        return messages.Stopping(status="stopping")

    async def _held(self, name: str) -> AsyncIterator[bytes]:
        worker = self._service.worker(name)
        ends = [asyncio.ensure_future(event.wait()) for event in (self._service.stopping, worker.gone)]
        try:
            with self._service.request(), worker.lease.held():
                while not any(end.done() for end in ends):
                    yield b": held\n\n"
                    await asyncio.wait(ends, timeout=_BEAT, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    async def _give_back_if_gone(self, call: Call, number: str) -> None:
        """A client that has vanished while it waited must not keep what it never got."""
        if await call.request.is_disconnected():
            await self._service.put_back(number)
