"""Round after round, every peer of every case in turn, so that a slow moment of the machine meets all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from .crew import Job, Opens, Tests, Worker, hire, one_round, paths
from .places import Place
from .sheet import Sheet

TABLES = 20
"""Of the parts that look at something else."""
RESET = "Seatrial reset"
RARELY = 5
"""Every so many rounds a peer takes part whose test takes seconds."""


def cases(jobs: Sequence[Opens], rounds: int, sheet: Sheet) -> None:
    """Different schemas and places, side by side."""
    with ExitStack() as stack:
        workers = hire(jobs, stack)
        sheet.expect(worker.column for worker in workers)
        for number in range(rounds + 1):
            for worker in workers:
                for name, does in worker.peers.items():
                    if name in worker.rare and number % RARELY != 1:
                        continue
                    sheet.know(name, does)
                    _add(sheet, name, worker.column, one_round([worker], name), number)
        for worker in workers:
            _add_paths(sheet, worker)


def workers(place: Place, counts: Sequence[int], rounds: int, sheet: Sheet) -> None:
    """Each peer with each number of workers on one server."""
    with ExitStack() as stack:
        job = Job(place=place, tables=TABLES, project="workers")
        [first] = hire([job], stack)
        more = hire([replace(job, worker=f"w{number}") for number in range(1, max(counts))], stack)
        columns = {count: f"{count} worker{'s' * (count > 1)}" for count in counts}
        sheet.expect(columns.values())
        for number in range(rounds + 1):
            for name, does in first.peers.items():
                sheet.know(name, does)
                for count in counts:
                    _add(sheet, name, columns[count], one_round([first, *more][:count], name), number)
        for worker in (first, *more):
            _add_paths(sheet, worker)


def long_run(place: Place, tests: int, sheet: Sheet) -> None:
    """Many tests in a row, undone by reset: what the last cost, beside the first."""
    with ExitStack() as stack:
        [worker] = hire([Job(place=place, tables=TABLES, project="long")], stack)
        sheet.expect([worker.column])
        some = min(500, tests // 4)
        one_round([worker], RESET, 20)
        found = [(f"{RESET}, the first {some} of {tests:,}", one_round([worker], RESET, some))]
        one_round([worker], RESET, tests - 2 * some)
        found.append((f"{RESET}, the last {some} of {tests:,}", one_round([worker], RESET, some)))
        for name, done in found:
            sheet.know(name, "tests in a row without a pause, in one copy")
            sheet.add(name, worker.column, done)


def _add(sheet: Sheet, name: str, column: str, tests: Tests, number: int) -> None:
    """The first round opens connections, plans statements and fills caches: it does not count."""
    if number:
        sheet.add(name, column, tests)


def _add_paths(sheet: Sheet, worker: Worker) -> None:
    for name in worker.peers:
        sheet.add_paths(name, paths(worker, name))
