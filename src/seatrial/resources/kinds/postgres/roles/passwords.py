"""Whether a role has a password, told from what the server keeps of it: setting it again would disturb others."""

from __future__ import annotations

import base64
import hashlib
import hmac


def is_password(kept: str, password: str) -> bool:
    """Whether `kept` (pg_authid.rolpassword, SCRAM-SHA-256) was made from `password`."""
    try:
        kind, costs, keys = kept.split("$")
        rounds, salt = costs.split(":")
        stored = base64.b64decode(keys.split(":")[0])
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    except ValueError:
        return False
    key = hmac.digest(salted, b"Client Key", "sha256")
    return kind == "SCRAM-SHA-256" and hmac.compare_digest(hashlib.sha256(key).digest(), stored)
