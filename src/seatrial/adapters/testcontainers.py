"""testcontainers: a container that a test starts is a server of ours, with the user and database that it asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

from seatrial.adapters.protocol import Lend, Loan, Wanted, WhenImported
from seatrial.adapters.replaced import Adapter, LazyDocker, Replaced
from seatrial.errors import AdapterError

LOAN = "_seatrial_loan"


def testcontainers(lend: Lend, when_imported: WhenImported) -> Adapter:
    """`PostgresContainer` and `RedisContainer`, from `testcontainers.community` and, before 4.15, `testcontainers`.

    Other containers still ask Docker, and only when they are started.
    """
    changes = {
        f"{package}.{name}": partial(_answer, lend, kind, wanted)
        for name, kind, wanted in (("postgres", "PostgresContainer", _postgres), ("redis", "RedisContainer", _redis))
        for package in ("testcontainers.community", "testcontainers")
    }
    return Adapter(
        "testcontainers: PostgresContainer and RedisContainer are servers of ours",
        {"testcontainers.core.container": _no_docker_yet, **changes},
        when_imported,
    )


def _no_docker_yet(module: ModuleType, replaced: Replaced) -> None:
    real = module.DockerClient

    def lazily(*args: Any, **options: Any) -> LazyDocker:
        return LazyDocker(partial(real, *args, **options))

    replaced.set(module, DockerClient=lazily)


def _postgres(container: Any) -> Wanted:
    return Wanted(
        kind="postgres",
        scheme="postgresql",
        user=container.username,
        password=container.password,
        database=container.dbname,
    )


def _redis(container: Any) -> Wanted:
    """Without a password whoever comes is let in, as the image has it."""
    return Wanted(kind="redis", scheme="redis", user="", password=container.password or "", database="0")


def _answer(lend: Lend, name: str, wanted: Callable[[Any], Wanted], module: ModuleType, replaced: Replaced) -> None:
    kind: Any = getattr(module, name)
    if hasattr(kind, LOAN):
        return  # the older module gives the class of the newer one

    def start(container: Any) -> Any:
        setattr(container, LOAN, lend(wanted(container)))
        container._container = SimpleNamespace(id="seatrial", status="running")  # noqa: SLF001 - it asks whether it runs
        return container

    def stop(container: Any, *_: Any, **__: Any) -> None:
        loan: Loan | None = getattr(container, LOAN)
        container._container = None  # noqa: SLF001 - as above
        setattr(container, LOAN, None)
        if loan is not None:
            loan.close()

    replaced.set(
        kind,
        start=start,
        stop=stop,
        get_container_host_ip=lambda container: _loan(container).host,
        get_exposed_port=lambda container, _: _loan(container).port,
        get_logs=lambda container: (_loan(container).log().encode(), b""),
        exec=_refuse,
        **{LOAN: None},
    )


def _loan(container: Any) -> Loan:
    loan: Loan | None = getattr(container, LOAN)
    if loan is None:
        raise AdapterError(
            f"The {type(container).__name__} is not started.",
            cause="it was asked where it answers before start(), or after stop()",
            fix=f"use it inside `with {type(container).__name__}(...) as container:`",
        )
    return loan


def _refuse(container: Any, command: Any) -> Any:
    raise AdapterError(
        f"A {type(container).__name__} was asked to run {command!r} inside of it.",
        cause="`adapt` answers it by a server of ours: there is no container, and no shell in it",
        fix='do it over a connection, or remove "testcontainers" from `adapt` to use Docker',
    )
