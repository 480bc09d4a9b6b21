"""A real server, and copies of templates on it that are written to, undone and audited."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from seatrial.errors import NeedsClone
from seatrial.resources import registry
from seatrial.resources.kinds.postgres.audit import Audit, Difference
from seatrial.resources.kinds.postgres.audit.snapshot import Snapshot
from seatrial.resources.kinds.postgres.naming import reference_name
from seatrial.resources.protocol import Address, Endpoint, Requirements, Target
from seatrial.resources.resolve import resolve

from .split import Statement

LIMITS = (
    "-c statement_timeout=5s -c lock_timeout=1s -c idle_in_transaction_session_timeout=20s -c client_min_messages=error"
)

FIRST_WITH_LOGIN_TRIGGERS = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """How a copy got back to its baseline, and whether it did."""

    path: str
    reason: str
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        return f"undone by {self.path} {self.reason}\n" + "\n".join(map(str, self.differences))


class Lab:
    """One server of our own, as a project would have it."""

    def __init__(self, project: Path, provider: str = "") -> None:
        self.kind: Any = registry.kind("postgres")
        self.spec = self.kind.spec(Requirements.of(project=project))
        self.server = resolve(self.spec, name=provider).provider.reserve(self.spec)
        self.server.start()
        self._numbers = count()

    def url(self, database: str) -> str:
        """Of a superuser."""
        return replace(self.server.endpoint.admin, database=database).url()

    def connect(self, database: str) -> psycopg.Connection[Any]:
        """As a superuser."""
        return psycopg.connect(self.url(database), autocommit=True, options=LIMITS)

    def lesser(self) -> Endpoint:
        """The same server, as a role knows it that may create databases and nothing else."""
        with self.connect("postgres") as admin, suppress(psycopg.errors.DuplicateObject):
            admin.execute("create role lesser login createdb password 'x'")
        endpoint = self.server.endpoint
        return replace(endpoint, owned=False, admin=replace(endpoint.admin, user="lesser", password="x"))

    def bench(self, layer: Callable[[psycopg.Connection[Any]], None], name: str, *, lesser: bool = False) -> Bench:
        """A copy of a template that `layer` fills; with `lesser`, all but the audit is done by such a role."""
        name = f"{name}_{next(self._numbers)}"
        key = hashlib.sha256(name.encode()).hexdigest()
        store = self.kind.open(self.lesser() if lesser else self.server.endpoint, self.spec)

        def fill(target: Target) -> None:
            with psycopg.connect(target.address.url(), autocommit=True, options=LIMITS) as connection:
                layer(connection)

        try:
            store.build(key, name, fill)
        except BaseException:
            store.close()
            raise
        return Bench(self, store, key, name, lesser=lesser)

    def forget(self, key: str) -> None:
        """Remove a template and all that was made from it."""
        admin = self.server.endpoint.admin.database
        with self.connect(admin) as connection:
            for (name,) in connection.execute(
                "select datname from pg_database where position(%s in shobj_description(oid, 'pg_database')) > 0",
                (key,),
            ).fetchall():
                connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def close(self) -> None:
        """Give the server up."""
        self.server.release()


class Bench:
    """One copy with its baseline. A workload runs on it, then `back` undoes and audits."""

    def __init__(self, lab: Lab, store: Any, key: str, name: str, *, lesser: bool = False) -> None:
        self.lab = lab
        self.store = store
        self.key = key
        self.name = name
        self.at_once = 0
        """How often one round trip has undone something."""
        self._reader: _Reader | None = None
        self._lesser = lesser
        self.copy = store.checkout(key, name)
        store._reference(key)  # the database that it reads lost rows from, made now: the audit names differences by it
        self.audit = Audit(self._read, reference=lambda: lab.connect(reference_name(key)), roles=None)
        self.baseline = self.audit.baseline()
        self._leave()
        self._below: list[Snapshot] = []
        """The baselines of the layers that it lies on."""
        self.copy.mark()

    @property
    def layers(self) -> int:
        """How many lie on the template."""
        return len(self._below)

    @property
    def address(self) -> Address:
        """Where the copy is."""
        return self.copy.address  # type: ignore[no-any-return]  # the store is any kind of store here

    def connect(self, application: str = "workload") -> psycopg.Connection[Any]:
        """A connection of the app: autocommit, so that a workload says BEGIN itself."""
        return psycopg.connect(
            self.address.url(), autocommit=True, options=LIMITS, application_name=application, prepare_threshold=None
        )

    def back(self) -> Back:
        """Undo as a reset lease does, then audit. A copy that is not at its baseline then is replaced."""
        try:
            undone = self.copy.undo_at_once()
            self.at_once += undone is not None and undone.path == "log"
            undone = undone or self.copy.undo()
            path, reason = undone.path, ""
        except NeedsClone as error:
            self.copy.renew()
            path, reason = "clone", str(error)
        differences = self.differences()
        if differences:
            self.copy.renew()
            self.baseline = self.audit.baseline()
            self._leave()
        self.copy.mark()
        return Back(path=path, reason=reason, differences=differences)

    def differences(self) -> tuple[Difference, ...]:
        """What the audit finds."""
        found = self.audit.differences(self.baseline)
        self._leave()
        return found

    def push(self) -> None:
        """As a wider fixture does when it is set up: what was written is the baseline from here on, if anything was."""
        self.copy.settle()
        if self.copy.changed():
            self.copy.push()
            self._below.append(self.baseline)
            self.baseline = self.audit.baseline()
            self._leave()
        self.copy.mark()

    def pop(self) -> tuple[Difference, ...]:
        """As it does when it is torn down; what the audit finds then."""
        self.copy.pop()
        self.baseline = self._below.pop()
        found = self.differences()
        self.copy.mark()
        return found

    def close(self) -> None:
        """Remove copy and template."""
        if self._reader is not None:
            self._reader.end()
        self.store.drop(self.name)
        self.store.forget(self.key)
        self.store.close()
        self.lab.forget(self.key)

    def _leave(self) -> None:
        """The audit reads as a superuser, whose connections a lesser role can't end when it drops a database."""
        if self._lesser and self._reader is not None:
            self._reader.end()

    def _read(self) -> psycopg.Connection[Any]:
        """The audit's own connection, kept from audit to audit: a new one would read and plan all anew each time."""
        if self._reader is None or not self._reader.alive():
            quiet = int(self.lab.server.endpoint.version.split(".")[0]) >= FIRST_WITH_LOGIN_TRIGGERS
            options = f"{LIMITS} -c event_triggers=off" if quiet else LIMITS
            self._reader = _Reader.connect(self.lab.url(self.name), autocommit=True, options=options)
        return self._reader


class _Reader(psycopg.Connection[Any]):
    """A connection that is only rolled back where others would be closed."""

    def alive(self) -> bool:
        """Whether the server still knows it: a clone of the database ends it."""
        with suppress(psycopg.Error):
            self.autocommit = True
            self.execute("select")
            return True
        self.end()
        return False

    def close(self) -> None:
        """The audit is done."""
        with suppress(psycopg.Error):
            self.rollback()

    def end(self) -> None:
        """Close it."""
        super().close()


def run(connection: psycopg.Connection[Any], statements: Sequence[Statement], *, strict: bool = False) -> int:
    """Run statements one by one; returns how many failed. With `strict` none may."""
    failed = 0
    for one in statements:
        if connection.closed:
            break
        with suppress(*(() if strict else (psycopg.Error,))):
            _send(connection, one)
            continue
        failed += 1
    return failed


def _send(connection: psycopg.Connection[Any], one: Statement) -> None:
    text = one.text.encode()
    if one.words[:1] != ["COPY"]:
        connection.execute(text)
        return
    with connection.cursor() as cursor, cursor.copy(text) as copy:
        if one.data is not None:
            copy.write(one.data.encode())
        else:
            for _ in copy:
                pass
