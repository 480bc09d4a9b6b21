"""The server and the template of one resource: had once, and had again where the server has died."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from seatrial import events
from seatrial.core import wait
from seatrial.core.importing import uncollected
from seatrial.errors import SeatrialError, ServerLost, ServerSpent
from seatrial.harness.borders.telling import Emitter
from seatrial.harness.plan import Plan
from seatrial.isolation import template
from seatrial.resources.protocol import Copy, Store, SupportsEnd, SupportsVacant

_RESTARTS = 3
_RESTART_SECONDS = 2.0
"""How long a server that refuses us may take to show that it is gone."""


class Supply:
    """What copies of one resource are made of.

    Args:
        plan: what `compose` made of the resource's configuration.
        emitter: is told of the server.
        emit: is told of the template.
        lose: lets go of the copies that were made, whose connections may have died with the server.
    """

    def __init__(self, plan: Plan, emitter: Emitter, emit: events.Emit, lose: Callable[[], None]) -> None:
        self._plan = plan
        self._emitter = emitter
        self._emit = emit
        self._lose = lose
        self._key = ""
        self.store: Store | None = None
        """None before the server is needed, and while it is lost."""

    @property
    def serving(self) -> bool:
        """Whether its server runs, or ran when it was last needed."""
        return self.store is not None

    def serve(self) -> None:
        """Have the server run. May be called from a thread, beside other resources."""
        before = time.perf_counter()
        attached = self._plan.server.start()
        self._emitter.serves(self._plan.server.endpoint, attached, time.perf_counter() - before)

    def await_import(self) -> None:
        """Have a database, empty as yet, at the address that an app connects to while it is imported."""
        self.serve()
        store = self._opened()
        if isinstance(store, SupportsVacant):
            store.vacant(self._plan.copy_name)

    def build(self) -> str:
        """Have the template, and no copy of it; returns its key. May be called again: sources may have changed."""
        try:
            self.prepare()
        finally:
            if self.store is not None:
                self.store.close()
                self.store = None
        return self._key

    def prepare(self) -> None:
        """Have the template. Imports the project where the schema needs it."""
        before = time.perf_counter()
        with uncollected():
            store = self.store or self._opened()
        try:
            built = self._made(store)
        except ServerLost as error:
            if isinstance(error, ServerSpent) and isinstance(self._plan.server, SupportsEnd):
                self._plan.server.end()
            elif self._plan.server.alive():
                raise
            built = self._again(lambda: self._made(self._opened()))
        seconds = time.perf_counter() - before
        self._emit(events.TemplateReady(resource=self._plan.name, key=self._key, built=built, seconds=seconds))

    def checkout(self) -> Copy:
        """This worker's copy of the template, fresh."""
        assert self.store is not None
        return self.store.checkout(self._key, self._plan.copy_name)

    def drop(self) -> None:
        """Remove that copy."""
        assert self.store is not None
        self.store.drop(self._plan.copy_name)

    def bring_back(self, check_out: Callable[[], None]) -> None:
        """The server died: have it run again, and its template, and `check_out` a copy."""

        def act() -> bool:
            store = self._opened()
            built = not store.find(self._key) and self._made(store)
            check_out()
            return built

        self._again(act)

    def let_go(self) -> None:
        """Nothing is held of the server, which may have died."""
        self._lose()
        store, self.store = self.store, None
        if store is not None:
            with suppress(SeatrialError):  # its connections died with the server
                store.close()

    def _made(self, store: Store) -> bool:
        self._key, built = template.ensure(store, self._plan.migrators(), self._plan.copy_name, self._plan.name)
        return built

    def _opened(self) -> Store:
        store = self.store = self._plan.kind.open(self._plan.server.endpoint, self._plan.spec, self._plan.role)
        return store

    def _again(self, act: Callable[[], bool]) -> bool:
        """On a server that is restarting by itself, or gone for good, or of whose end nobody has heard yet."""
        for _ in range(_RESTARTS):
            self.let_go()
            self._plan.server.start()
            try:
                return act()
            except ServerLost:
                wait.until(lambda: not self._plan.server.alive(), timeout=_RESTART_SECONDS)
        self.let_go()
        self._plan.server.start()
        return act()
