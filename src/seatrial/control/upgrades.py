"""Offers to go on in another protocol are not taken, and HTTP has it that the request is answered all the same."""

from __future__ import annotations

import re

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_OFFER = re.compile(rb"\r\nupgrade:[^\r\n]*(?=\r\n)", re.IGNORECASE)


class WithoutUpgrades(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # uvicorn decides which class it is
    """Uvicorn's own, which would take the body of such a request for the other protocol's, and lose it.

    Java's HttpClient offers HTTP/2 with each first request. No JSON has such a line, so that a body is never changed.
    """

    def data_received(self, data: bytes) -> None:
        """Bytes have come: the head of a request, in one piece where it is a usual one, or some of a body."""
        super().data_received(_OFFER.sub(b"", data))
