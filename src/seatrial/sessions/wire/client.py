"""One joined connection, as its driver sees it: a server of its own, whose transactions are savepoints here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol

from seatrial.errors import IsolationError
from seatrial.sessions.joining.outer import Outer, over
from seatrial.sessions.joining.statements import (
    BEGIN,
    CLOSE,
    COMMIT,
    DEALLOCATE,
    DISCARD,
    NESTED,
    REFUSED,
    ROLLBACK,
    Control,
    control,
    only_in_blocks,
    split,
)
from seatrial.sessions.wire import messages
from seatrial.sessions.wire.batch import Batch
from seatrial.sessions.wire.messages import Stream
from seatrial.sessions.wire.named import named
from seatrial.sessions.wire.upstream import Round, ServerError, ServerGone, Upstream, ignore

MARK = 'mark the test with @pytest.mark.seatrial(NAME="reset")'
READ_ONLY = "SET TRANSACTION READ ONLY"
FORGET = "RESET ALL; SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD SEQUENCES"
"""DISCARD ALL, as far as it is about one client; its cursors and prepared statements are closed besides."""
NOT_IN_A_TRANSACTION = "25001"
ONLY_IN_A_BLOCK = "25P01"
ENDS_IT = "2D000"
"""A procedure or a DO block commits or rolls back: the server allows it at the outermost level only."""


class Running(Protocol):
    """The test that runs now. Raises `IsolationError` where none does."""

    def outer(self) -> Outer:
        """Its one transaction."""
        ...

    def upstream(self) -> Upstream:
        """The connection that this runs on, once `Outer.real` has opened it."""
        ...


class Client:
    """One connection of the app's, or of the test's own session. Served by a thread of its own."""

    def __init__(
        self, stream: Stream, running: Running, number: int, settings: Mapping[str, str], *, by_test: bool
    ) -> None:
        self._stream = stream
        self._running = running
        self._settings = settings
        self._by_test = by_test
        self._batch = Batch(number)
        self._failed = False
        self._skipping = False
        self._copied = False
        self._read_only = False
        self._open = False
        """Whether anything was sent on that is to be kept or undone."""
        self._transaction = object()
        """Who owns the savepoint; another one for each transaction."""
        self.in_block = False
        """Whether its transaction is open: it has said BEGIN."""
        self.sending = False
        """Whether the server works for it now."""

    def serve(self) -> None:
        """Answer until the client leaves, or the server does."""
        try:
            while True:
                kind, message = self._stream.message()
                if kind == b"X":
                    return
                self._answer(kind, message)
        except (EOFError, ServerGone):
            return
        except IsolationError as reason:
            self.dismiss(reason)
        finally:
            self._leave()

    def dismiss(self, reason: IsolationError) -> None:
        """Tell the client why, and close the connection."""
        with suppress(EOFError):  # it has gone already
            self._stream.send(messages.error(reason.what, code="57P01", hint=reason.fix, fatal=True))
        self._stream.close()

    def _answer(self, kind: bytes, message: bytes) -> None:
        self._running.outer()  # a test must be running
        if kind == b"Q":
            self._simple(messages.decoded(message[5:-1]))
        elif kind == b"F":
            self._finish(self._attempt("call", message))
        elif kind in (b"S", b"H"):
            self._extended(last=kind == b"S")
        elif kind not in (b"d", b"c", b"f"):  # of a COPY that has failed
            self._batch.add(kind, message)

    # --- simple queries ---

    def _simple(self, script: str) -> None:
        statements = split(script)
        controls = [control(one) for one in statements]
        well = True
        if not statements:
            self._stream.send(messages.EMPTY_QUERY)
        elif not any(controls) and not any(map(named, statements)):
            well = self._attempt(script, messages.query(script), alone=len(statements) == 1)
        else:
            for one, found in zip(statements, controls, strict=True):
                well = well and (self._control(found) if found else self._sent(one, alone=len(statements) == 1))
        self._finish(well)

    def _sent(self, statement: str, *, alone: bool) -> bool:
        own = self._batch.own(statement)
        return self._attempt(own, messages.query(own), alone=alone)

    # --- the extended protocol ---

    def _extended(self, *, last: bool) -> None:
        for part in self._batch.take():
            if self._skipping:
                break
            if part.control is not None:
                well = self._control(part.control)
            else:
                if part.answer:
                    self._stream.send(part.answer)
                text, alone = "; ".join(part.texts) or "SELECT", len(part.texts) == 1
                well = not part.data or self._attempt(text, part.data + messages.SYNC, part.before, alone=alone)
            self._skipping = not well
        if not last:
            return
        if self._copied:  # the server takes no notice of a Sync while data comes; the client sends another
            self._copied = False
            return
        well, self._skipping = not self._skipping, False
        self._finish(well)

    # --- what both come down to ---

    def _attempt(
        self, text: str, data: bytes, before: bytes = b"", *, alone: bool = False, quiet: bool = False
    ) -> bool:
        """Send a statement on in its turn; whether it went well.

        Args:
            text: the statement.
            data: messages that end in one ReadyForQuery.
            before: sent first where the unnamed statement is another client's by now.
            alone: whether it is one statement, and no part of a script.
            quiet: whether the client hears of it only if it fails.
        """
        outer, simple = self._running.outer(), data[:1] == b"Q"
        feed = partial(self._feed, b"" if simple else messages.SYNC)
        if alone and not self.in_block and (name := only_in_blocks(text)):
            return self._needs_block(name)

        def call() -> Round:
            if self._running.outer() is not outer:
                raise over()
            upstream = self._running.upstream()
            if not self._failed:
                upstream.adopt(self._settings)
            if before and upstream.unnamed is not self:
                upstream.exchange(before + messages.SYNC, ignore)
            upstream.unnamed = self if data[:1] == b"P" or before else None
            if _UNSETS.search(text):
                upstream.forget_settings()
            self.sending = True
            try:
                done = upstream.exchange(data, self._send_error if quiet else self._send, feed)
            finally:
                self.sending = False
            if done.error:
                outer.failed(self._transaction)
            return done

        try:
            outer.real()
            self._open = True
            done = outer.execute(self._transaction, text, call, by_test=self._by_test)
        except (IsolationError, ServerError) as error:
            self._tell(error)
            return False
        self._failed = done.status == b"E"
        self._copied = done.copied and not simple
        if done.error:
            self._complain(outer, messages.fields(done.error).get("C", ""), text)
        return not done.error

    def _complain(self, outer: Outer, code: str, text: str) -> None:
        """The server has refused what it would have done outside our transaction."""
        words = " ".join(text.split()[:4])
        if code == NOT_IN_A_TRANSACTION and not self.in_block:
            outer.complain(f"{words} can't run inside a transaction, and in rollback mode all of the test is one")
        elif code == ENDS_IT and not self.in_block:
            outer.complain(f"{words} ends its transaction itself, and in rollback mode all of the test is one")

    def _finish(self, well: bool) -> None:
        """ReadyForQuery. Outside a block what was done is kept, or undone if it failed."""
        if self._open and not self.in_block:
            self._end(keep=well)
        self._stream.send(messages.ready(b"I" if not self.in_block else b"E" if self._failed else b"T"))

    def _end(self, *, keep: bool) -> bool:
        outer, transaction = self._running.outer(), self._transaction
        well = keep and not self._failed
        closing = self._batch.forget_cursors(held=False)
        try:
            if well:
                self._silently(closing)
                outer.commit(transaction)
            else:
                outer.rollback(transaction)
        except (IsolationError, ServerError) as error:
            outer.give_up(transaction)
            self._tell(error)
            well = False
        self.in_block = self._failed = self._open = self._read_only = False
        self._transaction = object()
        return well

    def _control(self, found: Control) -> bool:
        """A statement about the transaction, or the connection; whether it went well."""
        if found.does == REFUSED:
            self._running.outer().complain(found.refusal)
            return self._attempt(found.text, messages.query(_raising(found.reason)))
        if not self.in_block and (found.chain or found.does == NESTED):
            return self._needs_block(f"{found.name} AND CHAIN" if found.chain else found.name)
        if found.does == NESTED or not self._can(found):
            return self._attempt(found.text, messages.query(found.text))
        does = {BEGIN: self._begin, DEALLOCATE: self._deallocate, DISCARD: self._discard, CLOSE: self._close_all}
        return does.get(found.does, self._leave_block)(found)

    def _begin(self, found: Control) -> bool:
        return self._enter_block(read_only=found.read_only) and self._complete(found.name)

    def _enter_block(self, *, read_only: bool) -> bool:
        self.in_block = True
        self._read_only |= read_only
        return not read_only or self._attempt("SELECT", messages.query(READ_ONLY), quiet=True)  # it writes nothing

    def _leave_block(self, found: Control) -> bool:
        failed, read_only, keep = self._failed, self._read_only, found.does == COMMIT
        well = self._end(keep=keep)
        if keep and not well and not failed:
            return False
        if found.chain and not self._enter_block(read_only=read_only):
            return False
        return self._complete("ROLLBACK" if failed else found.name)

    def _deallocate(self, found: Control) -> bool:
        one = named(found.text)
        if one is not None and not self._batch.never_sent(one.name):
            well = self._attempt(found.text, messages.query(self._batch.own(found.text)))
            if well:
                self._batch.forget(one.name)
            return well
        if one is not None:
            self._batch.forget(one.name)
        else:
            self._silently(self._batch.forget_statements())
        return self._complete(found.name)

    def _close_all(self, found: Control) -> bool:
        self._silently(self._batch.forget_cursors(held=True))
        return self._complete(found.name)

    def _discard(self, found: Control) -> bool:
        self._silently(self._batch.forget_all())
        return self._attempt(FORGET, messages.query(FORGET), quiet=True) and self._complete(found.name)

    def _complete(self, tag: str) -> bool:
        self._stream.send(messages.complete(tag))
        return True

    def _can(self, found: Control) -> bool:
        """Whether the server would do it now: if not, it is asked, and says why."""
        if found.does in (COMMIT, ROLLBACK):
            return True
        return not self._failed and not (found.does == DISCARD and self.in_block)

    def _needs_block(self, name: str) -> bool:
        """As the server says it to who is in no transaction block; here it is in one, which is the test's."""
        told = messages.error(f"{name} can only be used in transaction blocks", code=ONLY_IN_A_BLOCK)
        self._stream.send(told)
        return False

    def _silently(self, closing: bytes) -> None:
        if closing and self._running.outer().opened:  # else it was all refused before it came to the server
            self._open = True
            self._running.outer().execute(
                self._transaction,
                "SELECT",
                lambda: self._running.upstream().exchange(closing + messages.SYNC, ignore),
                by_test=self._by_test,
            )

    def _send(self, message: bytes) -> None:
        self._stream.send(self._batch.in_its_words(message) if message[:1] == b"E" else message)

    def _send_error(self, message: bytes) -> None:
        if message[:1] == b"E":
            self._send(message)

    def _tell(self, error: IsolationError | ServerError) -> None:
        if isinstance(error, ServerError):
            self._stream.send(error.message)
        else:
            self._running.outer().complain(error.what)
            self._stream.send(messages.error(error.what, code="0A000", hint=error.fix))

    def _feed(self, after: bytes, upstream: Stream) -> None:
        """Send on the data of a COPY, and `after` it what the server took no notice of meanwhile: a Sync."""
        while True:
            try:
                kind, message = self._stream.message()
            except EOFError:
                kind, message = b"f", messages.make(b"f", b"the client has gone\0")
            if kind in (b"d", b"c", b"f"):
                upstream.send(message)
            if kind in (b"c", b"f"):
                upstream.send(after)
                return

    def _leave(self) -> None:
        """The connection is over: so is its transaction, and so are its prepared statements."""
        self._stream.close()
        try:
            self._running.outer().give_up(self._transaction)
            self._running.upstream().discard(self._batch.forget_all())
        except IsolationError:
            return  # the test is over, and its end has undone all


_UNSETS = re.compile(r"\breset\s+all\b|(?:^|;)\s*rollback\b|^\s*(?:do|call)\b.*\brollback\b", re.IGNORECASE | re.DOTALL)
"""What may bring back settings of before: as a statement, or within one. A text that only says so may not."""


def _raising(reason: str) -> str:
    """A statement that fails with our words."""
    text = f"{reason} is not to be had in rollback mode, where all of the test is one transaction".replace("'", "''")
    return (
        f"DO $seatrial$ BEGIN RAISE EXCEPTION USING MESSAGE = '{text}', "
        f"ERRCODE = '0A000', HINT = '{MARK.replace(chr(39), chr(39) * 2)}'; END $seatrial$"
    )
