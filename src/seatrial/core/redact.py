"""Secrets never reach a message, a log or a report: this takes them out of text.

What is known to be a secret is named by the caller, and hidden wherever it stands. Beyond that the patterns below know
how secrets are written. Where a text can be read in two ways, more of it is hidden rather than less.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_SHORT, _WORDS = 8, 16
"""Shorter secrets, and letters only up to the second, are hidden as words of their own: not the "postgres" of a URL's
"postgresql", nor each "x" of a text."""

_GOES_ON = r"""(?![\s,;:)\]}'"\\]|[.!?]\s|$)"""
"""After a quotation mark that ends nothing: a password with one was put between two without care."""
_STRING = rf"""(?:\\*[a-z]{{0,2}}&?'(?:\\\\|\\'{{1,2}}|''|'{_GOES_ON}|[^'\n])*'?
    |\\*"(?:\\.|"{_GOES_ON}|[^"\n])*"?)"""
"""A string of any language, of text that is quoted itself, too; to the end of the line where it was cut off."""
_WORD = r"""(?:[^\s"'][^\s]*?(?=["',)}\]]{0,9}(?:\s|$|[&;](?:[\w.-]+=|\s|$))))"""
"""What stands without quotation marks: to the next blank, or to the next pair of a query or connection string."""
_VALUE = rf"(?P<secret>{_STRING}|{_WORD})"
_NAMES = r"""passw(?:or)?d|passphrase|pgpass|secret|credentials?
            |(?:api|access|private|account|signing|encryption)[_-]?key|(?<=_)(?:pass|pwd|auth)"""
"""What is told with a secret in settings of any kind."""
_NAMES_ALONE = rf"{_NAMES}|token|authorization|cookie|jwt|^(?:pass|pwd|auth|pin|otp)$"
"""The same for a name that is known to be one: no sentence is taken for it."""

_PATTERNS = (
    # scheme://user:secret@host, and the secret may hold any character: all up to the last @ is taken for it, but
    # not where host:port stands before a path with an @, and not for the PASSWORD of our own advice.
    r"""(?P<before>(?P<quote>["'`])?\b
        (?!(?:(?:http|ws)s?://[^\s:/@?#]+|[a-z0-9+.-]{1,30}://(?:localhost|[\w-]*\.[\w.-]*))
           :\d{1,5}(?![^/?\#"'`,;)\]}>\s]))
        [a-z][a-z0-9+.-]{0,30}://[^\s:/@?\#\[]{0,256}:)
        (?!(?-i:PASSWORD|SECRET)@)
        (?P<secret>(?(quote)(?:(?!(?P=quote))\S){1,512}|\S{1,512}))(?=@)""",
    # scheme://token@host: elsewhere a name without a password is a user's.
    r"""(?P<before>\bnats://)(?P<secret>[^\s:"'`]{1,512}?):?(?=@)""",
    r"""(?P<before>\b[a-z0-9+.-]{0,30}(?:tls|rediss?|valkeys?|https?|wss?)://)
        (?P<secret>[^\s:/?\#@"'`]{1,512}):?(?=@)""",
    # name=value, name: value, "name": "value"; `token` is a word of parsers as well, as in: unexpected token: ")".
    rf"""(?P<before>(?:{_NAMES}
            |(?:^|[{{(,])[\ \t-]*token|(?<=[a-z_-])token|token(?=\\*["']\s*[:=]|\s*=))
        (?:[_-]?(?:access[_-]?)?key)?(?:[_-]?base)?\d*\\*["']?\s*(?:=>|:=|[:=])\s*)
        (?!(?:none|null|true|false)(?:[\s,;)}}\]]|$)){_VALUE}""",
    r"""(?P<before>\bauthorization\\*["']?\s*[:=]\s*\\*["']?(?:(?:basic|bearer|token|digest)\s+)?)
        (?P<secret>[\w+/~.=-]{6,})""",
    # What shows what it is wherever it stands: a JSON Web Token (its header begins with {"), and a bearer's.
    r"""(?P<before>)(?P<secret>\b(?-i:eyJ)[\w-]{6,1024}\.[\w-]{4,}(?:\.[\w-]*)?)""",
    r"""(?P<before>\bbearer\s)(?P<secret>(?=[a-z+/~.=_-]{0,512}\d)[\w+/~.=-]{16,})""",
    # On a command line, and in what Redis is told.
    rf"""(?P<before>(?:--[\w-]{{0,40}}(?:password|passwd|secret|token)|--(?:pass|auth)|\b(?:requirepass|masterauth))
        (?:\s+|["'],\s*))(?!-){_VALUE}""",
    # SQL: a string, or text between $$ or $tag$; a server quotes IDENTIFIED as it was misspelt.
    rf"""(?P<before>(?:\bid\w{{4,10}}\s+(?:(?:with|via)\s+\S{{1,99}}\s+)?(?:by|using|as)
            |\bpassword(?:\s+for\s+\S{{1,99}}\s*=|(?=[\s(])))\s*(?:password\s*)?\(?\s*)
        (?P<secret>{_STRING}|\$(?P<tag>\w{{0,63}})\$(?s:.)*?(?:\$(?P=tag)\$|\Z))""",
)
"""Each is compiled, and kept by `re`, when it is first used: few runs have anything to hide, and that takes 5 ms."""
_FLAGS = re.IGNORECASE | re.MULTILINE | re.VERBOSE
_ACL = re.compile(r"\bsetuser\b.*", re.IGNORECASE)
_ACL_SECRET = re.compile(r"(?<=[\s\"'])(?P<before>[<>#])\S+")


def redact(text: str, *secrets: str) -> str:
    """`text` without the secrets of URLs, settings, commands and SQL, and without `secrets` themselves."""
    for written in sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True):
        alone = len(written) < (_WORDS if written.isalpha() else _SHORT)
        text = re.sub(rf"(?<!\w){re.escape(written)}(?!\w)" if alone else re.escape(written), HIDDEN, text)
    for pattern in _PATTERNS:
        text = re.sub(pattern, rf"\g<before>{HIDDEN}", text, flags=_FLAGS)
    return _ACL.sub(lambda line: _ACL_SECRET.sub(rf"\g<before>{HIDDEN}", line[0]), text)


def is_secret(name: str) -> bool:
    """Whether what bears this name, in JSON for instance, is to be hidden, whatever it is."""
    return re.search(_NAMES_ALONE, name, flags=_FLAGS) is not None


def _forms(secret: str) -> Iterator[str]:
    """How it may be written: as it is, in a URL, and within a string."""
    if secret.strip("*"):
        yield from (secret, quote(secret, safe=""), quote(secret), quote_plus(secret))
        yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
