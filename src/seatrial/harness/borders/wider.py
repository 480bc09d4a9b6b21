"""The borders of a fixture of wider scope on one resource: its layer, and what is left when that is gone."""

from __future__ import annotations

from seatrial import events
from seatrial.errors import IsolationError
from seatrial.isolation.audit import Audit
from seatrial.isolation.layers import Layers
from seatrial.resources.protocol import Copy
from seatrial.sessions.protocol import Sessions


class Wider:
    """The layers on one resource's copy, whichever that is at the moment.

    Args:
        resource: its name in the configuration.
        emit: who is told.
    """

    def __init__(self, resource: str, emit: events.Emit) -> None:
        self._resource = resource
        self._emit = emit
        self._layers: Layers | None = None
        self._lost: dict[object, str] = {}
        """Fixtures that are still there, though the server has died with what they wrote."""

    def __bool__(self) -> bool:
        """Whether any layer lies on the copy."""
        return bool(self._layers)

    def start(self, copy: Copy, audit: Audit | None) -> None:
        """A fresh copy is there: the layers on the one before went with it."""
        if self._layers is not None:
            self._lost.update(self._layers.owners())
        self._layers = Layers(copy, audit)

    def refuse_lost(self) -> None:
        """Raise `IsolationError` where a fixture that is still there has lost what it wrote."""
        if self._lost:
            raise IsolationError(
                f"the server was restarted, and with it went what {', '.join(self._lost.values())} wrote",
                cause="fixtures of wider scope are set up once, and this test is inside them",
                fix="run the tests again; the server's log tells why it died",
            )

    def lay(self, owner: object, name: str, sessions: Sessions) -> bool:
        """Between two tests: what the fixture wrote is the baseline of the tests inside it. Whether it wrote."""
        if self._layers is None:
            return False
        sessions.settle(owner)
        laid = self._layers.lay(owner, name)
        if laid:
            sessions.invalidate()
        return laid

    def amid(self, name: str) -> None:
        """The fixture was set up while a test had the copy."""
        text = f"the fixture {name} was first asked for in the middle of a test: what it wrote ends with that test"
        self._emit(events.Note(resource=self._resource, text=text))

    def forget(self, owner: object) -> None:
        """The fixture is torn down: nobody misses what it wrote."""
        self._lost.pop(owner, None)

    def lift(self, owner: object, sessions: Sessions) -> bool:
        """Between two tests: what the fixture has written is gone. Whether there was anything.

        Raises:
            IsolationError: another fixture's layer lies on it.
        """
        if self._layers is None:
            return False
        sessions.leave(owner)
        lifted = self._layers.lift(owner)
        if lifted:
            sessions.invalidate()
        return lifted
