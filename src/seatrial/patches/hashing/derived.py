"""hashlib's pbkdf2_hmac and scrypt at the lowest cost, where the salt is of this process's own making."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any

from seatrial.patches.protocol import Patch
from seatrial.patches.replacing import Changes, Replacing

REMEMBERED = 256
"""How many random values are kept until one of them is seen as a salt."""
SHORTEST = 8
"""Bytes: nobody salts with less, and most random values that are shorter are none."""


class Salts:
    """Which salts were made during a test: what is derived with them is asked for by this process alone.

    The result of such a function does not bear its cost, so a hash in seed data must be derived at the real one.
    Its salt was made elsewhere. A salt that was made by `os.urandom` or `secrets` during a test is new, and stays
    known to the end of the run.
    """

    def __init__(self, while_testing: Callable[[], bool]) -> None:
        self._while_testing = while_testing
        self._recent: deque[bytes] = deque(maxlen=REMEMBERED)
        self._known: set[bytes] = set()

    def note(self, made: bytes) -> bytes:
        """Keep a random value, and return it."""
        if len(made) >= SHORTEST and self._while_testing():
            self._recent.append(made)
        return made

    def known(self, salt: bytes) -> bool:
        """Whether a salt is one of those values, plain or written in hexadecimal or base64."""
        salt = bytes(salt)
        if salt not in self._known and any(salt in _forms(made) for made in self._recent):
            self._known.add(salt)
        return salt in self._known


def random_values(salts: Salts) -> Patch:
    """`os.urandom`, and through it `secrets`, tell what they make."""

    def change(module: ModuleType, changes: Changes) -> None:
        import os

        urandom = os.urandom

        def noted(size: int, /) -> bytes:
            return salts.note(urandom(size))

        changes.replace(os, "urandom", noted)
        changes.replace(module, "_urandom", noted)  # where `secrets` gets its own from

    return Replacing("fast password hashing: os.urandom tells new salts", "random", change)


def derivation(salts: Salts) -> Patch:
    """One iteration, and the least memory, for salts that are known."""

    def change(module: ModuleType, changes: Changes) -> None:
        pbkdf2, scrypt = module.pbkdf2_hmac, getattr(module, "scrypt", None)

        def pbkdf2_hmac(hash_name: str, password: Any, salt: Any, iterations: int, dklen: int | None = None) -> bytes:
            made: bytes = pbkdf2(hash_name, password, salt, 1 if salts.known(salt) else iterations, dklen)
            return made

        def cheap(password: Any, *, salt: Any, n: int, r: int, p: int, **options: Any) -> bytes:
            n, p = (2, 1) if salts.known(salt) else (n, p)
            made: bytes = scrypt(password, salt=salt, n=n, r=r, p=p, **options)  # type: ignore[misc]  # it is there
            return made

        changes.replace(module, "pbkdf2_hmac", pbkdf2_hmac)
        if scrypt is not None:  # a Python that was built without it
            changes.replace(module, "scrypt", cheap)

    return Replacing("fast password hashing: hashlib's pbkdf2_hmac and scrypt, for new salts", "hashlib", change)


def _forms(made: bytes) -> tuple[bytes, ...]:
    urlsafe = base64.urlsafe_b64encode(made)
    return made, made.hex().encode(), base64.b64encode(made), urlsafe, urlsafe.rstrip(b"=")
