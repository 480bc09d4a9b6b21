"""Which patches hold during a run: those whose libraries are installed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec

from seatrial.patches.protocol import Patch
from seatrial.resources.protocol import Address
from seatrial.sessions.connections.known import Engines
from seatrial.sessions.detours import Detours
from seatrial.sessions.pools import Pools


def patches_of(addresses: Mapping[str, Address], pools: Pools, detours: Detours, engines: Engines) -> list[Patch]:
    """The patches of every run, for copies at these addresses. Imports none of the libraries."""

    def sqlalchemy() -> list[Patch]:
        from seatrial.patches.engines.made import made_engines
        from seatrial.patches.engines.memory_sqlite import memory_sqlite
        from seatrial.patches.stale_pools import stale_sqlalchemy

        return [stale_sqlalchemy(pools), memory_sqlite(), made_engines(engines)]

    def psycopg() -> list[Patch]:
        from seatrial.patches.led_drivers import LedPsycopg

        return [LedPsycopg(detours)]

    def psycopg_pool() -> list[Patch]:
        from seatrial.patches.lending.psycopg import stale_psycopg

        return [stale_psycopg(pools)]

    def psycopg2() -> list[Patch]:
        from seatrial.patches.led_drivers import LedPsycopg2
        from seatrial.patches.stale_psycopg2 import stale_psycopg2

        return [stale_psycopg2(pools), LedPsycopg2(detours)]

    def asyncpg() -> list[Patch]:
        from seatrial.patches.led_drivers import LedAsyncpg
        from seatrial.patches.stale_pools import stale_asyncpg

        return [stale_asyncpg(pools), LedAsyncpg(detours)]

    def pymysql() -> list[Patch]:
        from seatrial.patches.certificates import read_once

        return [read_once()]

    def django() -> list[Patch]:
        from seatrial.patches.django.connections import reconnecting
        from seatrial.patches.django.databases import creation, databases
        from seatrial.patches.django.ours import Ours
        from seatrial.patches.django.transactions import flush

        ours = Ours(addresses)
        return [databases(ours), creation(ours), flush(ours), reconnecting(pools)]

    return _installed(
        {
            "sqlalchemy": sqlalchemy,
            "psycopg": psycopg,
            "psycopg_pool": psycopg_pool,
            "psycopg2": psycopg2,
            "asyncpg": asyncpg,
            "pymysql": pymysql,
            "django": django,
        }
    )


def fast_hashing(while_testing: Callable[[], bool]) -> list[Patch]:
    """The patches of `fast_password_hashing`; `while_testing` says whether a test runs."""
    from seatrial.patches.hashing.argon2 import argon2
    from seatrial.patches.hashing.bcrypt import bcrypt
    from seatrial.patches.hashing.derived import Salts, derivation, random_values
    from seatrial.patches.hashing.django import django
    from seatrial.patches.hashing.passlib import passlib, passlib_argon2
    from seatrial.patches.hashing.werkzeug import werkzeug

    salts = Salts(while_testing)
    libraries: dict[str, Callable[[], list[Patch]]] = {
        "bcrypt": lambda: [bcrypt()],
        "argon2": lambda: [argon2()],
        "passlib": lambda: [passlib(), passlib_argon2()],
        "werkzeug": lambda: [werkzeug()],
        "django": lambda: [django()],
    }
    return [random_values(salts), derivation(salts), *_installed(libraries)]


def _installed(by_library: Mapping[str, Callable[[], list[Patch]]]) -> list[Patch]:
    """Those of the libraries that are here; of the others not even our part is imported."""
    return [patch for library, patches in by_library.items() if find_spec(library) for patch in patches()]
