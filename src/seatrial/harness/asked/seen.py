"""What one test asked, as values: the exchanges of the apps, and the statements of their databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from seatrial.core.redact import redact
from seatrial.events import Exchange, Statement

A_FEW = 2
"""How often a line may issue the same statement in one exchange before it is shown with a failure."""


class Exchanges(Sequence[Exchange]):
    """The HTTP exchanges of the running test, in the order in which they began. Grows while the test runs."""

    def __init__(self, ask: Callable[[], Sequence[Exchange]]) -> None:
        self._ask = ask

    @overload
    def __getitem__(self, index: int) -> Exchange: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Exchange]: ...
    def __getitem__(self, index: int | slice) -> Exchange | Sequence[Exchange]:
        return self._ask()[index]

    def __len__(self) -> int:
        return len(self._ask())

    def __repr__(self) -> str:
        return redact("\n".join(str(each) for each in self._ask())) or "no exchanges"

    def describe(self) -> str:
        """For people: a line an exchange, with its time and what it asked of databases, and its repeated queries."""
        lines: list[str] = []
        for each in self:
            count = len(each.statements)
            sent = f", {count} statement{'s' if count > 1 else ''}" if count else ""
            lines.append(f"{each} in {each.milliseconds:.1f} ms{sent}")
            lines.extend(f"    {repeated}" for repeated in repetitions(each.statements) if repeated.count > A_FEW)
        return redact("\n".join(lines))

    def between(self, caller: str, answerer: str) -> Sequence[Exchange]:
        """Those between these two: "test", "app", or the name of a service."""
        return [each for each in self if each.caller == caller and each.resource == answerer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """One statement that the same line issued again and again in one exchange."""

    count: int
    sql: str
    where: str
    exchange: int

    def __str__(self) -> str:
        return redact(f"{self.count} times at {self.where or 'an unknown line'}: {' '.join(self.sql.split())}")


class Statements(Sequence[Statement]):
    """The statements of the running test on one resource, in order. Grows while the test runs."""

    def __init__(self, resource: str, ask: Callable[[], Sequence[Statement]]) -> None:
        self._resource = resource
        self._ask = ask

    @overload
    def __getitem__(self, index: int) -> Statement: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Statement]: ...
    def __getitem__(self, index: int | slice) -> Statement | Sequence[Statement]:
        return self._own()[index]

    def __len__(self) -> int:
        return len(self._own())

    def __iter__(self) -> Iterator[Statement]:
        return iter(self._own())

    def __repr__(self) -> str:
        lines = [f"{each.where or '?'}: {' '.join(each.sql.split())}" for each in self]
        return redact("\n".join([f"{len(lines)} statements on {self._resource}", *lines]))

    def of(self, exchange: Exchange) -> Sequence[Statement]:
        """Those that this exchange caused."""
        return [each for each in self if each.exchange == exchange.number]

    @property
    def repeated(self) -> Sequence[Repeated]:
        """What was sent more than once from one line within one exchange: a query in a loop, most often."""
        return repetitions(self)

    def _own(self) -> list[Statement]:
        return [each for each in self._ask() if each.resource == self._resource]


def repetitions(statements: Iterable[Statement]) -> list[Repeated]:
    """What was sent more than once from one line within one exchange. What tests do in loops is their business."""
    times = Counter((each.exchange, each.where, each.sql) for each in statements if each.exchange)
    return [
        Repeated(count=count, sql=sql, where=where, exchange=exchange)
        for (exchange, where, sql), count in times.items()
        if count > 1
    ]
