"""bcrypt at its lowest cost."""

from __future__ import annotations

from types import ModuleType

from seatrial.patches.protocol import Patch
from seatrial.patches.replacing import Changes, Replacing

ROUNDS = 4
"""The lowest that bcrypt takes: 2 to the power of 4 rounds, where 12 is usual."""


def bcrypt() -> Patch:
    """Salts ask for 4 rounds, whatever was asked for. A hash bears its salt: older ones verify as ever."""

    def change(module: ModuleType, changes: Changes) -> None:
        gensalt = module.gensalt

        def cheap(rounds: int = ROUNDS, prefix: bytes = b"2b") -> bytes:
            gensalt(rounds, prefix)  # what bcrypt refuses is refused
            made: bytes = gensalt(ROUNDS, prefix)
            return made

        changes.replace(module, "gensalt", cheap)

    return Replacing("fast password hashing: bcrypt", "bcrypt", change)
