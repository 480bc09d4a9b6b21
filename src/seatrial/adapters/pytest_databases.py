"""pytest-databases: a service whose image is PostgreSQL is a server of ours; Docker is asked for the others only."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from types import ModuleType
from typing import Any

from seatrial.adapters.protocol import Lend, Wanted, WhenImported
from seatrial.adapters.replaced import Adapter, LazyDocker, Replaced
from seatrial.errors import AdapterError

USER = "postgres"
"""The superuser of the image, and the name of its first database, where its environment names no other."""


def pytest_databases(lend: Lend, when_imported: WhenImported) -> Adapter:
    """`postgres_service`, `postgres_connection` and their versions."""
    return Adapter(
        "pytest-databases: postgres_service is a server of ours",
        {"pytest_databases._service": partial(_change, lend)},
        when_imported,
    )


def _change(lend: Lend, module: ModuleType, replaced: Replaced) -> None:
    real_client, real_stop, real_run = module.get_docker_client, module._stop_all_containers, module.DockerService.run  # noqa: SLF001 - what its session's end calls

    def stop_all(client: Any) -> None:
        if not isinstance(client, LazyDocker) or client.used:
            real_stop(client)

    @contextmanager
    def run(service: Any, image: str, *args: Any, **options: Any) -> Iterator[Any]:
        if image.partition(":")[0].rpartition("/")[2] != USER:
            with real_run(service, image, *args, **options) as found:
                yield found
            return
        env = options.get("env") or {}
        wanted = Wanted(
            kind="postgres",
            scheme="postgresql",
            user=env.get("POSTGRES_USER", USER),
            password=env.get("POSTGRES_PASSWORD", ""),
            database=env.get("POSTGRES_DB", USER),
        )
        loan = lend(wanted)
        try:
            after = options.get("exec_after_start")
            if after:
                loan.run(*_sql(after, wanted.database))
            yield module.ServiceContainer(container=None, host=loan.host, port=loan.port)
        finally:
            loan.close()

    replaced.set(module, get_docker_client=lambda: LazyDocker(_client(real_client)), _stop_all_containers=stop_all)
    replaced.set(module.DockerService, run=run)


def _client(real: Callable[[], Any]) -> Callable[[], Any]:
    """The real client, with a word on who asked for it where it can't be had."""

    def make() -> Any:
        try:
            return real()
        except Exception as error:
            raise AdapterError(
                f"A service of pytest-databases needs Docker: {error}",
                cause="`adapt` answers its PostgreSQL services; this is another one",
                fix="have Docker run, or write the service as a resource of Seatrial's",
            ) from error

    return make


def _sql(command: str | list[str], database: str) -> tuple[str, str]:
    """The statement of a psql command line, and the database that it is for."""
    words = shlex.split(command) if isinstance(command, str) else list(command)
    options = dict(pairwise(words))
    if words[:1] != ["psql"] or "-c" not in options:
        raise AdapterError(
            f"A service of pytest-databases is to run {command!r} after its start.",
            cause="there is no container to run it in, and only `psql -c` is understood",
            fix='remove "pytest-databases" from `adapt` to use Docker',
        )
    return options["-c"], options.get("-d", database)
