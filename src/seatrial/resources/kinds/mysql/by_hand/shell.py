"""How somebody talks to a MySQL or MariaDB database by hand: its client where it is installed, or our own prompt."""

from __future__ import annotations

from functools import partial

from seatrial.resources.kinds.mysql.connection import arguments, library
from seatrial.resources.protocol import Address, Prompt, Shell


def shell(address: Address, clients: tuple[str, ...]) -> Shell:
    """The password goes by a variable: a command line can be read by everybody on the machine."""
    where = (f"--host={address.host}", f"--port={address.port}", "--protocol=tcp", f"--user={address.user}")
    return Shell(
        commands=tuple((client, *where, f"--database={address.database}") for client in clients),
        env={"MYSQL_PWD": address.password},
        prompt=partial(_prompt, address),
    )


def _prompt(address: Address) -> Prompt:
    from seatrial.resources.prompts import SqlPrompt

    pymysql = library()
    return SqlPrompt(lambda: pymysql.connect(**arguments(address), autocommit=True), pymysql.Error)
