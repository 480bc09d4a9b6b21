"""Container images of PostgreSQL: the official ones, and those that bring what these lack."""

from __future__ import annotations

from seatrial.resources.kinds.postgres.program import DATABASE, ROLE, settings
from seatrial.resources.protocol import Image

_MAJORS = ("18", "17", "16", "15", "14")
_SECRET = "/seatrial/password"  # noqa: S105 - a path inside the container, not a password


def images(*, durable: bool) -> tuple[Image, ...]:
    """The official image has every extension of PostgreSQL's own sources; pgvector's and PostGIS's have theirs too."""
    vector = Image(
        repository="pgvector/pgvector",
        tags={major: f"pg{major}" for major in _MAJORS},
        port=5432,
        extensions=("*", "vector"),
        env={"POSTGRES_USER": ROLE, "POSTGRES_PASSWORD_FILE": _SECRET, "POSTGRES_DB": DATABASE},
        files={_SECRET: "{password}"},
        command=("postgres", *(word for name, value in _tuning(durable) for word in ("-c", f"{name}={value}"))),
    )
    postgis = _like(vector, "postgis/postgis", {"18": "18-3.6", "17": "17-3.5", "16": "16-3.5"}, ("*", "postgis"))
    official = _like(vector, "postgres", {major: major for major in _MAJORS}, ("*",))
    return official, vector, postgis


def _like(image: Image, repository: str, tags: dict[str, str], extensions: tuple[str, ...]) -> Image:
    return Image(
        repository=repository,
        tags=tags,
        port=image.port,
        extensions=extensions,
        env=image.env,
        files=image.files,
        command=image.command,
    )


def _tuning(durable: bool) -> list[tuple[str, str]]:
    # The image's own places for its sockets and data stay as they are.
    return [(name, value) for name, value in settings(durable=durable).items() if name != "unix_socket_permissions"]
