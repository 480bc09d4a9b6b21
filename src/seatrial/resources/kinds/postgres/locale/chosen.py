"""What the key `locale` asks for, which servers can have it, and the statement that makes a database with it."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import ConfigError
from seatrial.resources.kinds.postgres.connection import literal

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROVIDERS = ("icu", "libc", "builtin")
_WITHOUT_ICU = b"ICU is not supported in this build"
"""What such a server says, and only such a server has in its program."""
_FIRST_WITH_PROVIDERS = 15
_FIRST_WITH_BUILTIN = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Locale:
    """A locale, and who provides it."""

    provider: str
    name: str

    def lacking(self, postgres: Path, major: int) -> str | None:
        """Why the server in this file can't have databases with it, or None."""
        if self.provider == "builtin" and major < _FIRST_WITH_BUILTIN:
            return f"PostgreSQL before {_FIRST_WITH_BUILTIN} has no builtin locales"
        if self.provider != "icu":
            return None
        if major < _FIRST_WITH_PROVIDERS:
            return f"PostgreSQL before {_FIRST_WITH_PROVIDERS} has no databases with locales of ICU"
        return "it is built without ICU, which `locale` asks for" if _without_icu(postgres) else None

    def clause(self, version: int) -> str:
        """What CREATE DATABASE says on a server of this version (180006)."""
        name = literal(self.name)
        if self.provider == "icu":
            how = f"LOCALE_PROVIDER icu ICU_LOCALE {name}"
        elif self.provider == "builtin":
            how = f"LOCALE_PROVIDER builtin BUILTIN_LOCALE {name}"
        elif version >= _FIRST_WITH_PROVIDERS * 10000:
            how = f"LOCALE_PROVIDER libc LOCALE {name}"
        else:
            how = f"LOCALE {name}"
        return f" TEMPLATE template0 ENCODING 'UTF8' {how}"


def read(options: Mapping[str, str]) -> Locale | None:
    """The key `locale`: "icu:de-DE", "builtin:C.UTF-8", or a name of the operating system's; None where it is not set.

    Raises:
        ConfigError: it names no locale.
    """
    text = options.get("locale", "")
    if not text:
        return None
    provider, colon, name = text.partition(":")
    if not colon:
        provider, name = "libc", text
    if provider not in _PROVIDERS or not name:
        raise ConfigError(
            f'`locale` is "{text}"',
            cause=f"providers of locales are {', '.join(_PROVIDERS)}",
            fix='write locale = "icu:de-DE", locale = "builtin:C.UTF-8", or locale = "de_DE.UTF-8"',
        )
    return Locale(provider=provider, name=name)


def _without_icu(postgres: Path) -> bool:
    with postgres.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as program:
        return program.find(_WITHOUT_ICU) >= 0
