"""One real connection and one outer transaction that hold a whole test: what `rollback` is made of.

Each connection that the test and its app take is a `Joined`: its transactions are savepoints here. The first
statement opens one, a commit releases it, a rollback goes back to it. Savepoints form a stack, and the
transactions of independent sessions need not: so a transaction that has only read is dropped when another
comes (nothing of it is at stake), one that has written makes those of other threads and tasks wait, and what
can't be put in order is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from seatrial.core import wait
from seatrial.errors import IsolationError
from seatrial.resources.first_state import backend
from seatrial.sessions.joining.schema import Schema
from seatrial.sessions.joining.statements import Savepoint, declares, reads, savepoint
from seatrial.sessions.joining.states import FAILED, LOST, sqlstate
from seatrial.sessions.joining.transaction import Open
from seatrial.sessions.joining.turns import Turns

T = TypeVar("T")
PATIENCE = 10.0
"""Seconds that one session waits for another's transaction to end."""
OUTERMOST = "seatrial_test"
FAIL = "ROLLBACK TO SAVEPOINT seatrial_nowhere"
"""Makes a transaction fail: there is no such savepoint."""
PROBE = "seatrial_probe"


class Outer:
    """The outer transaction of one test.

    Args:
        connect: opens the real connection: a DBAPI connection that begins a transaction by itself.
        turns: the lock, and the way to wait.
        schema: what to check at a commit, and what may write; None where the database has nothing of the kind.
        begins: statements that begin a transaction, where the driver does not by itself.
        patience: seconds to wait for another's turn.
        nests_after: seconds after which a transaction begins inside another one that has written, where `turns`
            can't tell whether the other waits for just this; None where it can.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        turns: Turns,
        *,
        schema: Schema | None = None,
        begins: tuple[str, ...] = (),
        patience: float = PATIENCE,
        nests_after: float | None = None,
    ) -> None:
        self._connect = connect
        self._turns = turns
        self._schema = schema
        self._begins = begins
        self._patience = patience
        self._nests_after = nests_after
        self._real: Any = None
        self._stack: list[Open] = []
        self._aside: list[Open] = []
        """Failed transactions of which nothing is left."""
        self._failing: object = None
        """Whose statement failed last: the one transaction of the test may have failed with it."""
        self._complaints: list[str] = []
        self._lost = False
        self._over = False

    def real(self) -> Any:
        """The real connection, opened at the first use."""
        return self._turns.at_home(self._opened)

    def at_home(self, call: Callable[[], T]) -> T:
        """Make a call that needs no turn where the real connection lives."""
        return self._turns.at_home(call)

    def _opened(self) -> Any:
        with self._turns:
            if self._over:
                raise over()
            if self._real is None:
                real = self._connect()
                try:
                    for statement in (*self._begins, f"SAVEPOINT {OUTERMOST}"):
                        _run(real, statement)
                    if self._schema is not None:
                        self._schema.learn(real)
                except Exception as error:
                    real.close()
                    raise IsolationError(
                        f"the test's outer transaction can't be opened: {error}",
                        cause="the engine is in AUTOCOMMIT, or the server refuses transactions",
                        fix='use isolation "reset" for this test',
                    ) from error
                self._real = real
            return self._real

    @property
    def opened(self) -> bool:
        """Whether the real connection is open."""
        return self._real is not None

    def backend(self) -> int:
        """The server's process id; 0 where nothing was opened, or there is none."""
        return backend(self._real.driver_connection) if self._real is not None else 0

    def execute(self, owner: object, statement: Any, call: Callable[[], T], *, by_test: bool) -> T:
        """Run `call`, which sends `statement`, in the owner's transaction."""
        text = statement if isinstance(statement, str) else ""
        wrote = not reads(text) or (self._schema is not None and self._schema.may_write(text))
        since = wait.now()

        def turn() -> tuple[bool, T | None]:
            nests = self._nests_after is not None and wait.now() > since + self._nests_after
            if self._over:
                raise over()  # the real connection may be the next test's by now
            if self._lost:
                return True, call()
            self._recover(owner)
            if not self._enter(owner, by_test=by_test, wrote=wrote, nests=nests):
                return False, None
            named = savepoint(text)
            self._fail_again(owner, named)
            before, self._failing = self._failing, None
            try:
                result = call()
            except Exception:
                self.failed(owner)
                raise
            mine = self._of(owner)
            if mine is not None and self._failing is None:
                if named is not None:
                    mine.note(named)
                mine.reads_on |= declares(text)
                self._failing = None if named is not None and named.back else before  # it may have sent nothing
            return True, result

        return self._wait_for(turn)  # type: ignore[return-value]  # None only before its turn

    def failed(self, owner: object) -> None:
        """The server has refused the owner's statement: for a call that does not raise then."""
        self._failing = owner

    def commit(self, owner: object) -> None:
        """The owner's transaction is kept. Deferred constraints are checked, as at a real commit."""
        self._wait_for(lambda: (self._leave(owner, keep=True), None))

    def rollback(self, owner: object) -> None:
        """The owner's transaction is undone; without one nothing happens."""
        self._wait_for(lambda: (self._leave(owner, keep=False), None))

    def give_up(self, owner: object) -> None:
        """The owner's transaction is to be undone, by who comes next: the owner can't wait any more."""
        mine = self._of(owner)
        if mine is not None:
            mine.abandoned = True

    def finish(self) -> tuple[str, ...]:
        """The test is over: all of it is undone. Returns complaints. Needs no turn: nobody else is to be served."""
        self._over = True
        real, self._real = self._real, None
        self._stack.clear()
        if real is None:
            return tuple(self._complaints)
        try:
            if not self._lost:
                try:
                    _run(real, f"ROLLBACK TO SAVEPOINT {OUTERMOST}")
                except Exception as error:  # noqa: BLE001  # every driver has its own
                    self._complain_of_loss(error)
            real.rollback()
        finally:
            with suppress(Exception):  # one that the server has ended may raise once more
                real.close()
        return tuple(self._complaints)

    def abandon(self) -> None:
        """The connection can't be spoken to any more: forget it, and let it be terminated."""
        self._over = True
        real, self._real = self._real, None
        if real is not None:
            real.invalidate()

    def _wait_for(self, turn: Callable[[], tuple[bool, T]]) -> T:
        return self._turns.at_home(lambda: self._in_turn(turn))

    def _in_turn(self, turn: Callable[[], tuple[bool, T]]) -> T:
        deadline = wait.now() + self._patience
        while True:
            with self._turns:
                while self._stack and self._stack[-1].abandoned and not self._over:
                    self._undo(self._stack[-1])
                done, result = turn()
            if done:
                return result
            if wait.now() > deadline:
                raise _crossing(f"another transaction did not end within {self._patience:g} seconds")
            self._turns.wait()

    def _enter(self, owner: object, *, by_test: bool, wrote: bool, nests: bool) -> bool:
        """Whether the owner may run a statement now: its transaction is then the innermost."""
        if self._stack and self._stack[-1].owner is not owner:
            mine = self._of(owner)
            if mine is not None and not wrote and not self._others_write_above(mine):
                return True
            self._drop_readers_above(mine)
            above = self._stack[self._stack.index(mine) + 1 :] if mine else self._stack[-1:]
            flow = self._turns.flow()
            if mine is not None and above:
                if any(other.flow == flow for other in above):
                    raise _crossing("a session wrote while another one, opened later in the same test, had written")
                return False
            if mine is None and above and not (nests or above[-1].by_test or above[-1].flow == flow):
                return False
        if not self._stack or self._stack[-1].owner is not owner:
            name = f"seatrial_{len(self._stack) + 1}"
            _run(self._real, f"SAVEPOINT {name}")
            self._stack.append(Open(owner=owner, by_test=by_test, flow=self._turns.flow(), name=name))
        self._stack[-1].wrote |= wrote
        return True

    def _leave(self, owner: object, *, keep: bool) -> bool:
        """Whether the owner's transaction could be ended now. True as well where it has none."""
        self._aside = [other for other in self._aside if other.owner is not owner]
        mine = self._of(owner)
        if mine is None or self._lost or self._over:
            if mine is not None:
                self._stack.remove(mine)
            return True
        self._recover(owner)
        keep = keep and not mine.failed
        if self._stack[-1] is not mine:
            self._drop_readers_above(mine)
        if self._stack[-1] is not mine:
            flow = self._turns.flow()
            if any(other.flow == flow for other in self._stack[self._stack.index(mine) + 1 :]):
                raise _crossing("a transaction ended before one that was opened later, and has written, did")
            return False
        if self._failing is owner:
            self._failing = None
        try:
            if keep:
                self._stack.pop()
                self._release(mine)
            else:
                self._undo(mine)
        except Exception as error:
            if sqlstate(error) not in LOST and "no such savepoint" not in str(error):
                raise
            self._complain_of_loss(error)
        return True

    def _release(self, mine: Open) -> None:
        try:
            if mine.wrote and self._schema is not None:
                self._schema.check(self._run)
            self._run(f"RELEASE SAVEPOINT {mine.name}")
        except Exception as error:
            if sqlstate(error) in LOST:
                raise
            self._undo(mine)
            if sqlstate(error) != FAILED:  # the commit of a failed transaction is a rollback, without a word
                raise
            return
        if mine.wrote and self._stack:
            below = self._stack[-1]
            below.wrote = True
            below.holds = "what another session had committed meanwhile"

    def _undo(self, mine: Open) -> None:
        """Undo it. Who is cancelled meanwhile leaves it on the stack, for who comes next."""
        try:
            self._run(f"ROLLBACK TO SAVEPOINT {mine.name}")
        except Exception:
            self._forget(mine)
            raise
        self._forget(mine)
        self._run(f"RELEASE SAVEPOINT {mine.name}")
        if mine.holds:
            whose = "the test's session" if mine.by_test else "a session of the app"
            self.complain(f"{whose} rolled back, and with it went {mine.holds}")

    def _recover(self, owner: object) -> None:
        """Where another's transaction has failed, and the one of the test with it: go back to where it had not.

        On connections of their own the others would not notice. Nothing is lost that could still be committed: a
        transaction that has failed can but go back to a savepoint of its own, and the innermost one stays.
        """
        failing = self._failing
        if failing is None or failing is owner or not self._stack:
            return
        self._failing = None
        top, whose = self._stack[-1], self._of(failing)
        if whose is None or not self._has_failed():
            return
        whose.failed = True
        if top is whose and not top.inner:
            self._undo(top)
            self._aside.append(top)
        else:
            self._run(f"ROLLBACK TO SAVEPOINT {top.inner[-1] if top is whose else top.name}")

    def _has_failed(self) -> bool:
        try:
            self._run(f"SAVEPOINT {PROBE}")
        except Exception as error:
            if sqlstate(error) != FAILED:
                raise
            return True
        self._run(f"RELEASE SAVEPOINT {PROBE}")
        return False

    def _fail_again(self, owner: object, named: Savepoint | None) -> None:
        """Let the owner's transaction be as it was before `_recover`, unless it goes back to a savepoint now."""
        mine = self._of(owner)
        aside = next((other for other in self._aside if other.owner is owner), None)
        if aside is None and (mine is None or not mine.failed):
            return
        if aside is not None:
            self._aside.remove(aside)
        elif mine is not None:
            mine.failed = False
            if named is not None and named.back and named.name in mine.inner:
                return
        with suppress(Exception):
            self._run(FAIL)

    def _forget(self, mine: Open) -> None:
        if mine in self._stack:
            self._stack.remove(mine)

    def _drop_readers_above(self, mine: Open | None) -> None:
        """Release the innermost transactions of others that have only read.

        In a transaction that has failed nothing can be released: they go with the rollback that must come.
        """
        while self._stack and self._stack[-1] is not mine and not self._stack[-1].wrote:
            if self._failing is None:
                self._run(f"RELEASE SAVEPOINT {self._stack[-1].name}")
            reader = self._stack.pop()
            if reader.reads_on and self._stack:
                self._stack[-1].holds = "a cursor that another session was reading"

    def _others_write_above(self, mine: Open) -> bool:
        return any(other.wrote for other in self._stack[self._stack.index(mine) + 1 :])

    def _of(self, owner: object) -> Open | None:
        return next((each for each in self._stack if each.owner is owner), None)

    def _run(self, statement: str) -> None:
        _run(self._real, statement)

    def complain(self, complaint: str) -> None:
        """Something that one transaction can't hold: `finish` returns it."""
        if complaint not in self._complaints:
            self._complaints.append(complaint)

    def _complain_of_loss(self, error: Exception) -> None:
        self._lost = True
        self._stack.clear()
        first = str(error).strip().partition("\n")[0]
        self.complain(f"a COMMIT or ROLLBACK sent as a statement ended the test's transaction ({first})")


def _run(connection: Any, statement: str) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
    finally:
        cursor.close()


def _crossing(what: str) -> IsolationError:
    return IsolationError(
        what,
        cause="in rollback mode all sessions share one connection, where transactions end in the order of a stack",
        fix='mark the test with @pytest.mark.seatrial(NAME="reset"): then each session has a connection of its own',
    )


def over() -> IsolationError:
    """The error for who uses a joined connection after the end of its test."""
    return IsolationError(
        "a connection of a test that is over was used",
        cause="work that the test started (a thread, a task) goes on after its end",
        fix='wait for it in the test, or use @pytest.mark.seatrial(NAME="reset"), which fences it off',
    )
