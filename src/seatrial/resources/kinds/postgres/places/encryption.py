"""What a URL asks for by way of encryption, in libpq's words and in those of other drivers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl, urlsplit

from seatrial.core.redact import redact
from seatrial.errors import ConfigError

VARIABLES: Mapping[str, str] = MappingProxyType(
    {name: f"PG{name.upper()}" for name in ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl")}
    | {"ssl": "PGSSLMODE", "channel_binding": "PGCHANNELBINDING", "gssencmode": "PGGSSENCMODE"}
)
"""Parameters that say how a connection is to be secured, and what libpq calls them in the environment."""
_NO_WISH = ("disable", "allow", "prefer")
"""What one writes who does not insist on encryption."""
_WISHES = ("require", "verify-ca", "verify-full")
"""Of an `sslmode`: each is also what those before it ask for."""
_SAME: Mapping[str, str] = {
    **dict.fromkeys(("true", "1", "on", "yes", "no-verify"), "require"),
    **dict.fromkeys(("false", "0", "off", "no"), "disable"),
}
"""Words of other drivers."""


def refuse_lost(url: str) -> None:
    """Other parameters are an app's own matter; who asks for encryption is to have it, on each connection.

    Raises:
        ConfigError: it asks for more than the environment does.
    """
    for name, value in parse_qsl(urlsplit(url).query):
        variable, wish = VARIABLES.get(name), _SAME.get(value, value)
        if variable is not None and wish not in _NO_WISH and not _grants(os.environ.get(variable), wish):
            raise ConfigError(
                redact(f"`url` says {name}={value}, and connections to the databases beside it would not know"),
                cause="its parameters do not go with them, because each driver has its own",
                fix=f"export {variable}={wish}: libpq (psycopg) heeds it, and asyncpg if it can, here and in the app",
            )


def _grants(exported: str | None, wish: str) -> bool:
    return exported == wish or (wish in _WISHES and exported in _WISHES[_WISHES.index(wish) :])
