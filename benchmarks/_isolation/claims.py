"""What Seatrial claims of its isolation, beside what this run has found."""

from __future__ import annotations

from dataclasses import dataclass

from .peer import ISOLATION, UNDO
from .sheet import Sheet, short
from .small import PLACES

RESET = "Seatrial reset"
CLONE = "CREATE DATABASE ... TEMPLATE, file_copy"
TRUNCATE = "TRUNCATE of all tables"
SMALL, LARGE, SEEDED = "20 tables", "200 tables", "20 tables, 1,000,000 rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A figure, and its bound."""

    what: str
    value: float
    bound: float
    at_most: bool = False
    unit: str = " times"

    @property
    def holds(self) -> bool:
        """Whether it is so in this run."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def line(self) -> str:
        """For people."""
        word = "at most" if self.at_most else "at least"
        verdict = "holds" if self.holds else "DOES NOT HOLD"
        return f"- {self.what}: {short(self.value)}{self.unit} ({word} {self.bound:g}{self.unit}): {verdict}"


def claims(sheet: Sheet) -> list[Claim]:
    """Those that this run has the figures for."""
    found: list[Claim | None] = []
    small = sheet.median(RESET, UNDO, SMALL)
    if small is not None:
        found.append(Claim(what="check-in of reset after 6 inserts", value=small, bound=0.6, at_most=True, unit=" ms"))
    for ending, clone, truncate in (("", 30, 15), (", on disk", 40, 100)):
        where = "data on disk" if ending else "data in shared memory"
        found += [
            _ratio(
                sheet,
                f"clone before and after a test / check-in of reset, {where}",
                CLONE,
                SMALL + ending,
                RESET,
                SMALL + ending,
                clone,
            ),
            _ratio(
                sheet,
                f"TRUNCATE before and after a test / check-in of reset, {where}",
                TRUNCATE,
                SMALL + ending,
                RESET,
                SMALL + ending,
                truncate,
            ),
        ]
    found.append(
        _ratio(sheet, "check-in of reset, 200 tables / 20 tables", RESET, LARGE, RESET, SMALL, 1.2, at_most=True)
    )
    first, last = (
        next((n for n in sheet.names if n.startswith(f"{RESET}, the {end}")), "") for end in ("first", "last")
    )
    if first and last:
        found.append(_ratio(sheet, f"{last[9:]} / {first[9:]}", last, SMALL, first, SMALL, 1.2, at_most=True))
    seeded = sheet.median("Seatrial reset, seed rows", UNDO, SEEDED)
    if seeded is not None:
        what = "10 updated, 10 deleted, 10 inserted of 1,000,000 rows, checksum unchanged"
        found.append(Claim(what=what, value=seeded, bound=10, at_most=True, unit=" ms"))
    for place in PLACES:
        small_one = sheet.median(RESET, UNDO, f"SQLite, {place}")
        if small_one is not None:
            found.append(
                Claim(what=f"SQLite, {place}: check-in of reset", value=small_one, bound=0.5, at_most=True, unit=" ms")
            )
    for driver in ("", ", psycopg"):
        whole = sheet.median(f"pytest: Seatrial reset{driver}", "a whole run, its start included", SMALL)
        if whole is not None:
            what = f"a whole pytest run{driver}, above the same tests without a database"
            found.append(Claim(what=what, value=whole, bound=1, at_most=True, unit=" ms a test"))
    return [claim for claim in found if claim is not None]


def _ratio(
    sheet: Sheet, what: str, over: str, there: str, under: str, here: str, bound: float, *, at_most: bool = False
) -> Claim | None:
    """One peer's cost before and after a test, over the undo of ours."""
    above = sheet.median(over, UNDO if over.startswith(RESET) else ISOLATION, there)
    below = sheet.median(under, UNDO, here)
    if above is None or below is None:
        return None
    return Claim(what=what, value=above / below, bound=bound, at_most=at_most)
