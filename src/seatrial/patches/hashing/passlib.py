"""passlib's hashes (and those of libpass, its fork) at the lowest cost of their algorithm."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from seatrial.patches.hashing.argon2 import COST
from seatrial.patches.protocol import Patch
from seatrial.patches.replacing import Changes, Replacing


def passlib() -> Patch:
    """New hashes take the fewest rounds that their algorithm allows, whatever a context or `using` has asked for.

    passlib makes its salts itself and hands bcrypt a whole one, so that bcrypt's own patch never sees it. They
    count as made with the rounds that were asked for, so that nothing is rehashed at a login that production would
    not rehash. A hash bears its rounds: older ones verify as ever, and need an update where they would.
    """

    def change(module: ModuleType, changes: Changes) -> None:
        mixin = module.HasRounds
        generate, needs = mixin._generate_rounds.__func__, mixin._calc_needs_update  # noqa: SLF001 - the one place where rounds are chosen

        def _generate_rounds(cls: Any) -> int:
            generate(cls)  # what passlib refuses is refused
            return _fewest(cls)

        def _calc_needs_update(self: Any, **options: Any) -> bool:
            if self.rounds == _fewest(type(self)):
                _as_if_asked_for(self, "default_rounds")
            return bool(needs(self, **options))

        changes.replace(mixin, "_generate_rounds", classmethod(_generate_rounds))
        changes.replace(mixin, "_calc_needs_update", _calc_needs_update)

    return Replacing("fast password hashing: passlib", "passlib.utils.handlers", change)


def passlib_argon2() -> Patch:
    """Made by argon2-cffi, whose own patch makes them cheap; here they only learn not to need an update."""

    def change(module: ModuleType, changes: Changes) -> None:
        common = module._Argon2Common  # noqa: SLF001 - the public class gets a backend among its bases later
        needs = common._calc_needs_update  # noqa: SLF001 - as above

        def _calc_needs_update(self: Any, **options: Any) -> bool:
            found = {"time_cost": self.rounds, "memory_cost": self.memory_cost, "parallelism": self.parallelism}
            if found == COST:
                _as_if_asked_for(self, "default_rounds", "memory_cost", "parallelism")
            return bool(needs(self, **options))

        changes.replace(common, "_calc_needs_update", _calc_needs_update)

    return Replacing("fast password hashing: passlib's argon2", "passlib.handlers.argon2", change)


def _fewest(handler: Any) -> int:
    return max(int(handler.min_rounds or 0), 1)


def _as_if_asked_for(hashed: Any, *costs: str) -> None:
    """Give a hash, parsed for this one question, what its class asks for in these respects."""
    for cost in costs:
        setattr(hashed, cost.removeprefix("default_"), getattr(type(hashed), cost))
