"""Secrets never reach a message, a log or a report: this takes them out of text."""

from __future__ import annotations

import re

HIDDEN = "***"

_URL = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s:/@?#]*:)(?P<secret>[^\s/?#\"'`]*)(?=@)", re.IGNORECASE)
_PAIR = re.compile(
    r"(?P<before>[\"']?\b\w*(?:password|passwd|pgpass|secret)\b[\"']?\s*[=:]\s*)"
    r"(?P<secret>'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"|[^\s'\"&,;)}\]]+)",
    re.IGNORECASE,
)
_SQL = re.compile(r"(?P<before>\bpassword\s+)(?P<secret>E?'(?:[^']|'')*')", re.IGNORECASE)


def redact(text: str, *secrets: str) -> str:
    """`text` without the passwords of URLs, connection strings, settings and SQL, and without `secrets` themselves."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern in (_URL, _PAIR, _SQL):
        text = pattern.sub(rf"\g<before>{HIDDEN}", text)
    return text
