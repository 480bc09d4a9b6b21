"""The audit: remember a baseline, and tell later what is no longer as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from seatrial.core.wait import now, pause
from seatrial.errors import IsolationError
from seatrial.resources.kinds.postgres.audit import catalogs, rows, surroundings, tables
from seatrial.resources.kinds.postgres.audit.catalogs import Catalog
from seatrial.resources.kinds.postgres.audit.difference import SHOWN, Difference, RowChange
from seatrial.resources.kinds.postgres.audit.reading import ask, reading
from seatrial.resources.kinds.postgres.audit.snapshot import Half, Rows, Snapshot
from seatrial.resources.kinds.postgres.audit.surroundings import Values

if TYPE_CHECKING:
    import psycopg

SETTLE = 2.0
"""Seconds that a backend whose client is gone may take to give up its locks and temporary tables."""

_UNTOLD = "is not as it was; which one can't be told, as the database that knew has changed since, or can't be reached"


class Audit:
    """The audit of one database.

    Args:
        connect: opens a connection to it, as a role that may read everything (a superuser). Used for one reading
            and closed: the audit never keeps a connection that a clone of the database would have to end.
        reference: opens a connection to a clone of the same template that nobody touches. It is read for a
            baseline, and after a difference, to say what the difference is; it never decides whether there is one.
            Without it the audit counts the rows of tables with more than `tables.KEPT`, and names none.
        server: opens a connection to another database of the same server, which has the same objects of initdb:
            it is read as the reference is. Without either a baseline takes 0.5 s longer.
        roles: names of the roles that belong to this lease alone; None where the whole server does.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        *,
        reference: Callable[[], psycopg.Connection[Any]] | None = None,
        server: Callable[[], psycopg.Connection[Any]] | None = None,
        roles: tuple[str, ...] | None = (),
        settle: float = SETTLE,
    ) -> None:
        self._connect = connect
        self._reference = reference
        self._witnesses = [one for one in (reference, server) if one is not None]
        self._roles = roles
        self._settle = settle
        self._known: tuple[Catalog, ...] = ()
        """The catalogs that this server has. One that a test could add is told by those that are known."""

    def baseline(self) -> Snapshot:
        """Read everything, and keep what later names a difference: once a template or layer."""
        with reading(self._connect) as connection:
            return self._read(connection, surroundings.left_behind(connection), whole=True)

    def _meanings(
        self, connection: psycopg.Connection[Any], known: Sequence[Catalog], digests: Mapping[Half, str]
    ) -> dict[Half, Counter[tuple[str, str]]]:
        """What no witness can tell later, because it has something else there."""
        import psycopg

        told: set[Half] = set()
        for witness in self._witnesses:
            with suppress(psycopg.Error), reading(witness) as other:
                told |= {half for half, one in catalogs.digests(other, known).items() if one == digests[half]}
        return {
            half: catalogs.meaning(connection, one, half) for one in known for half in one.halves if half not in told
        }

    def differences(self, baseline: Snapshot) -> tuple[Difference, ...]:
        """Everything that is not as in `baseline`; empty if the database equals it.

        Raises `IsolationError` where something can't be read: what was not read is not vouched for.
        """
        import psycopg

        with ExitStack() as stack:
            try:
                connection = stack.enter_context(reading(self._connect))
                left = self._wait(connection, baseline)
                found = self._read(connection, left, whole=False)
            except psycopg.Error as error:
                raise IsolationError(
                    f"The audit could not read the database: {str(error).strip()}",
                    cause="a lock is held, or a table's rows or definitions can't be read any more",
                    fix="look for the connection that holds it: SELECT * FROM pg_locks WHERE NOT granted",
                ) from error
            return (
                *_values(baseline, found),
                *self._catalogs(connection, baseline, found),
                *self._tables(connection, baseline, found),
            )

    def _wait(self, connection: psycopg.Connection[Any], baseline: Snapshot) -> Values:
        """What sessions hold, once those that are just ending had the time to end.

        It is not looked at again: a pool that opens a connection meanwhile has left nothing behind.
        """
        deadline = now() + self._settle
        while True:
            left = surroundings.left_behind(connection)
            connection.rollback()
            if left.keys() <= baseline.values.keys() or now() > deadline:
                return left
            pause(0.02)

    def _read(self, connection: psycopg.Connection[Any], left: Values, *, whole: bool) -> Snapshot:
        found = tables.find(connection)
        digests = tables.digests(connection, found)
        known = self._known = self._known or catalogs.find(connection)
        sequences, unseen = tables.sequences(connection)
        held = catalogs.digests(connection, known)
        return Snapshot(
            tables=tables.keep(connection, found, digests) if whole else digests,
            values=sequences | surroundings.around(connection, self._roles) | left,
            catalogs=held,
            meaning=self._meanings(connection, known, held) if whole else {},
            unseen=tuple(sorted([*unseen, *(table.name for table in found if not table.readable)])),
        )

    def _catalogs(self, connection: psycopg.Connection[Any], before: Snapshot, after: Snapshot) -> Iterator[Difference]:
        for catalog in self._known:
            was: Counter[tuple[str, str]] = Counter()
            is_: Counter[tuple[str, str]] = Counter()  # what was made anew has gone from one half to the other
            for half in catalog.halves:
                if before.catalogs.get(half) == after.catalogs.get(half):
                    continue
                known = self._meaning(before, catalog, half)
                if known is None:
                    yield Difference(kind=catalog.name, name="an object", what=_UNTOLD)
                    continue
                was += known
                is_ += catalogs.meaning(connection, catalog, half)
            for name, what in catalogs.told(was - is_, is_ - was):
                yield Difference(kind=catalog.name, name=name, what=what)

    def _meaning(self, before: Snapshot, catalog: Catalog, half: Half) -> Counter[tuple[str, str]] | None:
        """What it said; None where the witness of then is no longer as it was, either."""
        import psycopg

        if half in before.meaning:
            return before.meaning[half]
        for witness in self._witnesses:
            with suppress(psycopg.Error), reading(witness) as other:
                if catalogs.digests(other, [catalog])[half] == before.catalogs[half]:
                    return catalogs.meaning(other, catalog, half)
        return None

    def _tables(self, connection: psycopg.Connection[Any], before: Snapshot, after: Snapshot) -> Iterator[Difference]:
        """Tables that are new or gone are told by the catalogs, and by their rows if they had any."""
        known = {table.name: table for table in tables.find(connection)}
        for name in sorted(before.tables.keys() | after.tables.keys()):
            was, is_ = before.tables.get(name), after.tables.get(name)
            if was is not None and is_ is not None and (was.count, was.digest) == (is_.count, is_.digest):
                continue
            changed: tuple[RowChange, ...] = ()
            if was is not None and is_ is not None:
                changed = self._rows(connection, known[name], was)
            yield Difference(
                kind="rows",
                name=name,
                what=f"{_count(is_)}, {_count(was)} in the baseline",
                rows=changed,
                writer=_writer(connection, name, changed),
            )

    def _rows(self, connection: psycopg.Connection[Any], table: tables.Table, was: Rows) -> tuple[RowChange, ...]:
        if was.kept is not None:
            return rows.against_kept(connection, table, was.kept)
        if self._reference is None:
            return ()
        with reading(self._reference) as reference:
            return rows.against_reference(connection, reference, table, was)


def _values(before: Snapshot, after: Snapshot) -> Iterator[Difference]:
    for kind, name in sorted(before.values.keys() | after.values.keys()):
        was, is_ = before.values.get((kind, name)), after.values.get((kind, name))
        if was != is_ and (was or is_ or "").startswith('{"'):
            lost, gained = [(name, was)] if was else [], [(name, is_)] if is_ else []
            for _, what in catalogs.told(lost, gained):
                yield Difference(kind=kind, name=name, what=what)
        elif was != is_:
            yield Difference(kind=kind, name=name, what=_change(was, is_))
    for name in sorted(set(after.unseen) - set(before.unseen)):
        yield Difference(kind="rights", name=name, what="can no longer be read")


def _change(was: str | None, is_: str | None) -> str:
    if was is None:
        return f"is new: {is_}"
    if is_ is None:
        return f"is gone: {was}"
    return f"was {was}, is {is_}"


def _count(found: Rows | None) -> str:
    if found is None:
        return "no such table"
    return f"{found.count} row{'' if found.count == 1 else 's'}"


def _writer(connection: psycopg.Connection[Any], table: str, changed: tuple[RowChange, ...]) -> str:
    """Who is still connected and last ran a statement that names the table: a hint, no proof.

    A committed row knows its transaction, and the server forgets whose that was. Where nobody is connected any
    more, nobody is named.
    """
    word = table.rpartition(".")[2].strip('"').replace("'", "''")
    if not changed:
        return ""
    found = ask(
        connection,
        "select concat('pid ', pid, ' ('|| nullif(application_name, '')||')', ', which last ran: ', left(query, 200))"
        " from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        f" and position('{word}' in query) > 0 order by query_start desc limit {SHOWN}",
    )
    return "; ".join(who for (who,) in found)
