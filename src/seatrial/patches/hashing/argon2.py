"""argon2-cffi at its lowest cost."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from seatrial.patches.protocol import Patch
from seatrial.patches.replacing import Changes, Replacing

COST: Mapping[str, int] = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}
"""The lowest that argon2 takes: 8 KiB, where 64 MiB are usual."""


def argon2() -> Patch:
    """Hashes are made at the lowest cost, and count as made at the cost that was asked for: none needs a rehash.

    A hash bears its cost: older ones verify as ever, and need a rehash where they would.
    """

    def change(module: ModuleType, changes: Changes) -> None:
        hasher, low_level = module.PasswordHasher, module.low_level
        hash_secret, needs = low_level.hash_secret, hasher.check_needs_rehash

        def cheap(
            secret: bytes,
            salt: bytes,
            time_cost: int,  # noqa: ARG001 - argon2's signature
            memory_cost: int,  # noqa: ARG001 - as above
            parallelism: int,  # noqa: ARG001 - as above
            hash_len: int,
            type: Any,  # noqa: A002 - as above
            version: int = low_level.ARGON2_VERSION,
        ) -> bytes:
            made: bytes = hash_secret(secret, salt, **COST, hash_len=hash_len, type=type, version=version)
            return made

        def check_needs_rehash(self: Any, hash: str | bytes) -> bool:  # noqa: A002 - argon2's signature
            found = module.extract_parameters(hash.decode() if isinstance(hash, bytes) else hash)
            if all(getattr(found, key) == value for key, value in COST.items()):
                return False
            return bool(needs(self, hash))

        for place in (low_level, module._password_hasher):  # noqa: SLF001 - the second has imported it by name
            changes.replace(place, "hash_secret", cheap)
        changes.replace(hasher, "check_needs_rehash", check_needs_rehash)

    return Replacing("fast password hashing: argon2", "argon2", change)
