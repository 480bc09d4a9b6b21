"""The extensions that each database of a resource gets."""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.errors import TemplateError
from seatrial.resources.kinds.postgres.connection import Link, identifier
from seatrial.resources.protocol import Endpoint


def create(endpoint: Endpoint, database: str, names: Sequence[str]) -> None:
    """Create them, with what they need.

    Raises:
        TemplateError: the server refuses one.
    """
    import psycopg

    if not names:
        return
    inside = Link(endpoint, database)
    try:
        for extension in names:
            inside.run(f"CREATE EXTENSION IF NOT EXISTS {identifier(extension)} CASCADE")
    except psycopg.Error as error:
        raise TemplateError(
            f'the extension "{extension}" can not be created',
            cause=str(error).strip(),
            fix="`seatrial doctor` names the extensions that this server has",
        ) from error
    finally:
        inside.close()
