"""Django's password hashers at their lowest cost."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from seatrial.patches.hashing.argon2 import COST
from seatrial.patches.hashing.bcrypt import ROUNDS
from seatrial.patches.protocol import Patch
from seatrial.patches.replacing import Changes, Replacing

SCRYPT_WORK = 2


def django() -> Patch:
    """New hashes are made at the lowest cost, and count as made at the cost that the hasher asks for.

    So nothing is rehashed at a login that production would not rehash. A hash bears its cost: those of seed
    data verify as ever. bcrypt and argon2 are those libraries' own patches; here they only learn not to rehash.
    """

    def change(module: ModuleType, changes: Changes) -> None:
        pbkdf2, scrypt = module.PBKDF2PasswordHasher, module.ScryptPasswordHasher
        by_pbkdf2, by_scrypt = pbkdf2.encode, scrypt.encode

        def encode_pbkdf2(hasher: Any, password: str, salt: str, iterations: int | None = None) -> Any:
            return by_pbkdf2(hasher, password, salt, iterations or 1)

        def encode_scrypt(hasher: Any, password: str, salt: str, n: Any = None, r: Any = None, p: Any = None) -> Any:
            return by_scrypt(hasher, password, salt, n or SCRYPT_WORK, r or hasher.block_size, p or 1)

        changes.replace(pbkdf2, "encode", encode_pbkdf2)
        changes.replace(scrypt, "encode", encode_scrypt)
        for kind in (pbkdf2, scrypt, module.BCryptSHA256PasswordHasher, module.Argon2PasswordHasher):
            changes.replace(kind, "must_update", _patient(kind.must_update))

    return Replacing("fast password hashing: Django's hashers", "django.contrib.auth.hashers", change)


def _patient(must_update: Callable[[Any, str], bool]) -> Callable[[Any, str], bool]:
    def patient(hasher: Any, encoded: str) -> bool:
        return not _is_cheap(hasher.decode(encoded)) and bool(must_update(hasher, encoded))

    return patient


def _is_cheap(decoded: dict[str, Any]) -> bool:
    """Whether a hash was made while the patches hold: nobody else takes the lowest cost."""
    if "iterations" in decoded:
        return bool(decoded["iterations"] == 1)
    if "memory_cost" in decoded:
        return bool(decoded["memory_cost"] == COST["memory_cost"])
    return bool(decoded.get("work_factor") in (SCRYPT_WORK, ROUNDS))
