"""What it costs to bring a database back to its baseline: Seatrial beside what projects do today, in one run.

    python benchmarks/isolation.py [--quick] [--only PART ...] [--runs N] [--json FILE] [--svg FILE]

The parts: `reset` (20 and 200 tables, data in shared memory and on disk), `seeded` (the same schemas with
1,000,000 seeded rows, 20 tables on disk, too), `workers` (1, 2, 4 and 8 processes on one server), `long` (10,000 tests in a row),
`runs` (whole pytest runs of 1,000 tests), `sqlite` (a small database in a file, in WAL mode, in memory).

A test inserts 6 rows into 2 tables and commits. Every peer has a database of its own, on a server with the same
binaries and settings (no fsync). Peers and cases take turns, round after round; the first round does not count.
Prints Markdown: the table, what each peer does, and the claims with what was found.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from _isolation import places, rounds, runs
from _isolation.claims import claims
from _isolation.crew import Job
from _isolation.picture import draw
from _isolation.places import DISK, MEMORY, Place
from _isolation.sheet import Sheet
from _isolation.small import PLACES, Small

PARTS = ("reset", "seeded", "workers", "long", "runs", "sqlite")
ROOM = 4 * 2**30
"""Bytes that the copies of 1,000,000 seeded rows, and the log of cloning them, may take."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a look in half a minute: few rounds, smaller cases")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--runs", type=int, metavar="N", help="rounds that count (default: 15; with --quick 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the picture")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    before = about()
    sheet = Sheet()
    with ExitStack() as stack:
        found = {}
        for name in (MEMORY, DISK):
            reason = places.unfit(name)
            if reason:
                sheet.skipped[f"data in {name}"] = reason
            else:
                found[name] = stack.enter_context(places.place(name))
        measure(asked, found, sheet)
        where = {name: places.file_system(place.root / "data") for name, place in found.items() if name == DISK}
    report(asked, before | {"disk": where.get(DISK, "")}, sheet)


def measure(asked: argparse.Namespace, found: dict[str, Place], sheet: Sheet) -> None:
    """The parts that were asked for."""
    quick = asked.quick
    times = asked.runs or (1 if quick else 15)
    best = found.get(MEMORY) or found[DISK]
    sizes = [20, 200]
    jobs: list[Job] = []
    if "reset" in asked.only:
        for place in found.values():
            some = sizes[:1] if quick and place is not best else sizes
            jobs += [Job(place=place, tables=size) for size in some]
    if "seeded" in asked.only:
        jobs += seeded(best, found, sheet, quick=quick)
    if jobs:
        rounds.cases(jobs, times, sheet)
    if "sqlite" in asked.only:
        rounds.cases([Small(place=best, where=where) for where in PLACES], times, sheet)
    if "long" in asked.only:
        rounds.long_run(best, 400 if quick else 10_000, sheet)
    if "workers" in asked.only:
        rounds.workers(best, [1, 2] if quick else [1, 2, 4, 8], times, sheet)
    if "runs" in asked.only:
        runs.measure(
            best, sizes[:1] if quick else sizes, 100 if quick else 1000, 1 if quick else max(1, times // 3), sheet
        )


def seeded(best: Place, found: dict[str, Place], sheet: Sheet, *, quick: bool) -> list[Job]:
    """The cases with seeded rows: 20 and 200 tables where it is fastest, 20 on disk as well."""
    rows = 50_000 if quick else 1_000_000
    jobs = [Job(place=best, tables=size, rows=rows) for size in ([20] if quick else [20, 200])]
    if not quick and found[DISK] is not best:
        jobs.append(Job(place=found[DISK], tables=20, rows=rows))
    fit = [job for job in jobs if job.place.free() >= ROOM]
    if len(fit) < len(jobs):
        sheet.skipped[f"{rows:,} seeded rows"] = f"less than {ROOM // 2**30} GB are free for the data"
    return fit


def about() -> dict[str, Any]:
    """The machine, before it has work to do."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def report(asked: argparse.Namespace, machine: dict[str, Any], sheet: Sheet) -> None:
    """To the terminal and to the files."""
    checked = claims(sheet)
    if machine["load"] > 0.5:
        print(f"The machine was not quiet: its load was {machine['load']} at the start.\n")
    print(sheet.markdown())
    print("\n" + ", ".join(f"{name} {value}" for name, value in machine.items() if value != ""))
    if checked:
        print("\nThe claims, by medians of this run:\n\n" + "\n".join(claim.line() for claim in checked))
    if asked.json:
        told = [{"what": one.what, "value": one.value, "bound": one.bound, "holds": one.holds} for one in checked]
        asked.json.write_text(json.dumps({"machine": machine, **sheet.table(), "claims": told}, indent=1))
    if asked.svg:
        draw(sheet, asked.svg)


if __name__ == "__main__":
    main()
