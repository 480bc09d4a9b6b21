"""What a URL asks for by way of encryption, in the words of the drivers and tools of MySQL."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from seatrial.core.redact import redact
from seatrial.errors import ConfigError

_PARAMETERS = ("tls", "usessl", "requiressl")
"""Those whose names do not begin with "ssl", in small letters."""
_NO_WISH = ("", "0", "false", "no", "off", "disabled", "preferred")
"""What one writes who does not insist on encryption."""


def refuse_lost(url: str) -> None:
    """Other parameters are an app's own matter; who asks for encryption is to have it, on each connection.

    Raises:
        ConfigError: it asks for encryption, which PyMySQL can be told of by its arguments alone.
    """
    for name, value in parse_qsl(urlsplit(url).query):
        word = name.lower()
        asks = word in _PARAMETERS or (word.startswith("ssl") and word != "ssl_disabled")
        if asks and value.lower() not in _NO_WISH:
            raise ConfigError(
                redact(f"`url` says {name}={value}, and connections to the databases beside it would not know"),
                cause="its parameters do not go with them, because each driver has its own",
                fix="name a server that may be spoken to in the clear; or remove `url`, and Seatrial starts one",
            )
