"""werkzeug's password hashes (Flask's) at the lowest cost of their method."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from types import ModuleType
from typing import Any

from seatrial.patches.protocol import Patch
from seatrial.patches.replacing import Changes, Replacing

CHEAP: Mapping[str, str] = {"scrypt": "scrypt:128:8:1", "pbkdf2": "pbkdf2:{digest}:1"}
"""By method. werkzeug allows scrypt too little memory for less than 128 (its default is 32768)."""


def werkzeug() -> Patch:
    """`generate_password_hash` keeps the method, and takes the lowest cost. A hash bears its method: all verify."""

    def change(module: ModuleType, changes: Changes) -> None:
        generate = module.generate_password_hash
        own = signature(generate)  # werkzeug before 2.3 has no scrypt, and another default

        def generate_password_hash(*args: Any, **named: Any) -> str:
            asked = own.bind(*args, **named)
            asked.apply_defaults()
            name, *options = asked.arguments["method"].split(":")
            if name in CHEAP:
                asked.arguments["method"] = CHEAP[name].format(digest=options[0] if options else "sha256")
            made: str = generate(*asked.args, **asked.kwargs)
            return made

        changes.replace(module, "generate_password_hash", generate_password_hash)

    return Replacing("fast password hashing: werkzeug", "werkzeug.security", change)
