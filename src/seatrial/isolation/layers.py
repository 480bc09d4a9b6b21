"""Layers: what fixtures of wider scope have written is the baseline of the tests inside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seatrial.errors import IsolationError
from seatrial.isolation.audit import Audit
from seatrial.resources.protocol import Copy, SupportsLayers


@dataclass(slots=True, kw_only=True)
class _Layer:
    owner: object
    name: str
    """The fixture, for people."""
    over: bool = False
    """Its fixture is gone, and it is still here, because another lies on it."""


class Layers:
    """The layers on one copy, the topmost last.

    Args:
        copy: what they are laid on.
        audit: is told what the baseline is now; None where nobody audits.
    """

    def __init__(self, copy: Copy, audit: Audit | None) -> None:
        self._copy = copy
        self._audit = audit
        self._stack: list[_Layer] = []

    def __bool__(self) -> bool:
        return bool(self._stack)

    @property
    def unseen(self) -> Sequence[str]:
        """What the audit may not read in the baseline of now; nothing where nobody audits."""
        return self._audit.unseen if self._audit is not None else ()

    def owners(self) -> dict[object, str]:
        """Whose layers there are, with their names; but for those who are gone."""
        return {layer.owner: layer.name for layer in self._stack if not layer.over}

    def lay(self, owner: object, name: str) -> bool:
        """A layer of what was committed since the last one, if anything was. Returns whether there is one now."""
        if not isinstance(self._copy, SupportsLayers) or not self._copy.changed():
            return False
        self._copy.push()
        try:
            if self._audit is not None:
                self._audit.push()
        except BaseException:  # of whatever sort: a time-out of the test's as well
            self._copy.pop()
            raise
        self._stack.append(_Layer(owner=owner, name=name))
        return True

    def lift(self, owner: object) -> bool:
        """The owner is gone: so is its layer. Returns whether there was one.

        Raises:
            IsolationError: another layer lies on it, whose owner is still there: both go when that one does. Or the
                copy was replaced, and what else the layer has changed could not be put back.
        """
        mine = [layer for layer in self._stack if layer.owner is owner]
        if not mine:
            return False
        mine[0].over = True
        if mine[0] is not self._stack[-1]:
            above = self._stack[-1].name
            raise IsolationError(
                f"the fixture {mine[0].name} was torn down before {above}, which was set up after it",
                cause=f"what {above} wrote lies on what {mine[0].name} wrote, and is still needed",
                fix=f"let {above} ask for {mine[0].name}: pytest then tears it down first",
            )
        told: IsolationError | None = None
        while self._stack and self._stack[-1].over:
            self._stack.pop()
            assert isinstance(self._copy, SupportsLayers), "a layer was laid"
            try:
                self._copy.pop()
            except IsolationError as error:  # it was replaced all the same
                told = told or error
            finally:
                if self._audit is not None:
                    self._audit.pop()
        if told is not None:
            self.accept()
            raise told
        return True

    def accept(self) -> None:
        """The copy could not be brought back in all, and somebody was told: what is still there is told once."""
        if self._audit is not None:
            self._audit.accept()
