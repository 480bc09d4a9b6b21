"""Which patches hold during a run: those whose libraries are installed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec

from seatrial.patches.django.connections import reconnecting
from seatrial.patches.django.databases import creation, databases
from seatrial.patches.django.ours import Ours
from seatrial.patches.django.transactions import flush
from seatrial.patches.hashing.argon2 import argon2
from seatrial.patches.hashing.bcrypt import bcrypt
from seatrial.patches.hashing.derived import Salts, derivation, random_values
from seatrial.patches.hashing.django import django
from seatrial.patches.hashing.passlib import passlib, passlib_argon2
from seatrial.patches.hashing.werkzeug import werkzeug
from seatrial.patches.led_drivers import LedAsyncpg, LedPsycopg, LedPsycopg2
from seatrial.patches.lending.psycopg import stale_psycopg
from seatrial.patches.memory_sqlite import MemorySQLite
from seatrial.patches.protocol import Patch
from seatrial.patches.stale_pools import stale_asyncpg, stale_sqlalchemy
from seatrial.patches.stale_psycopg2 import stale_psycopg2
from seatrial.resources.protocol import Address
from seatrial.sessions.detours import Detours
from seatrial.sessions.pools import Pools


def patches_of(addresses: Mapping[str, Address], pools: Pools, detours: Detours) -> list[Patch]:
    """The patches of every run, for copies at these addresses. Imports none of the libraries."""
    ours = Ours(addresses)
    return _installed(
        {
            "sqlalchemy": [stale_sqlalchemy(pools), MemorySQLite()],
            "psycopg": [LedPsycopg(detours)],
            "psycopg_pool": [stale_psycopg(pools)],
            "psycopg2": [stale_psycopg2(pools), LedPsycopg2(detours)],
            "asyncpg": [stale_asyncpg(pools), LedAsyncpg(detours)],
            "django": [databases(ours), creation(ours), flush(ours), reconnecting(pools)],
        }
    )


def fast_hashing(while_testing: Callable[[], bool]) -> list[Patch]:
    """The patches of `fast_password_hashing`; `while_testing` says whether a test runs."""
    salts = Salts(while_testing)
    libraries: dict[str, list[Patch]] = {
        "bcrypt": [bcrypt()],
        "argon2": [argon2()],
        "passlib": [passlib(), passlib_argon2()],
        "werkzeug": [werkzeug()],
        "django": [django()],
    }
    return [random_values(salts), derivation(salts), *_installed(libraries)]


def _installed(by_library: Mapping[str, list[Patch]]) -> list[Patch]:
    return [patch for library, patches in by_library.items() if find_spec(library) for patch in patches]
