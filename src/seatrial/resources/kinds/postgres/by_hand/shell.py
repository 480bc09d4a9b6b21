"""How somebody talks to a PostgreSQL database by hand: psql where it is installed, or our own prompt."""

from __future__ import annotations

from functools import partial

from seatrial.resources.protocol import Address, Prompt, Shell


def shell(address: Address) -> Shell:
    """All that psql needs goes by its variables: a command line can be read by everybody on the machine."""
    return Shell(
        commands=(("psql",),),
        env={
            "PGHOST": address.host,
            "PGPORT": str(address.port),
            "PGUSER": address.user,
            "PGPASSWORD": address.password,
            "PGDATABASE": address.database,
        },
        prompt=partial(_prompt, address),
    )


def _prompt(address: Address) -> Prompt:
    import psycopg

    from seatrial.resources.prompts import SqlPrompt

    return SqlPrompt(lambda: psycopg.connect(address.url(), autocommit=True), psycopg.Error)
