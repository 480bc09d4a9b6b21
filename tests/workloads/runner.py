"""Run workloads from a folder of .sql files, and count how each test was undone.

python -m workloads.runner FOLDER [--seeded] [--only NAME]      (from the folder `tests`)
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from .lab import Back, Bench, Lab, run
from .workload import Test, Workload, folder


@dataclass(slots=True)
class Tally:
    """How many tests were undone by which path, and those that were not undone."""

    paths: Counter[str] = field(default_factory=Counter)
    leaks: list[tuple[str, Back]] = field(default_factory=list)
    clones: list[tuple[str, str]] = field(default_factory=list)

    def add(self, test: Test, back: Back) -> None:
        """Count one."""
        self.paths[back.path] += 1
        if back.differences:
            self.leaks.append((test.name, back))
        if back.path == "clone":
            self.clones.append((test.name, back.reason))

    @property
    def share(self) -> float:
        """The share of tests that needed no clone."""
        total = self.paths.total()
        return 1 - self.paths["clone"] / total if total else 1.0

    @property
    def writers(self) -> int:
        """Tests that wrote anything."""
        return self.paths.total() - self.paths["nothing"]

    @property
    def from_log(self) -> float:
        """The share of these that were undone from the log."""
        return self.paths["log"] / self.writers if self.writers else 0.0

    def __str__(self) -> str:
        return f"{self.paths.total()} tests: " + ", ".join(f"{n} {path}" for path, n in self.paths.most_common())


def execute(bench: Bench, test: Test) -> Back:
    """One test: on a connection that leaves as a client does that ends, then undone and audited."""
    try:
        connection = bench.connect()
    except psycopg.OperationalError as error:
        raise AssertionError(f"{test.name}: the copy takes no connection") from error
    run(connection, test.statements)
    connection.close()
    return bench.back()


def play(lab: Lab, workload: Workload, *, strict: bool = False) -> Iterator[tuple[Test, Back]]:
    """All tests of a workload, each with how it was undone. With `strict` no statement of the layer may fail."""
    bench = lab.bench(lambda connection: _fill(connection, workload, strict), "workload")
    try:
        for test in workload.tests:
            yield test, execute(bench, test)
    finally:
        bench.close()


def tally(lab: Lab, workloads: Iterable[Workload]) -> Tally:
    """All of them."""
    count = Tally()
    for workload in workloads:
        for test, back in play(lab, workload):
            count.add(test, back)
    return count


def _fill(connection: psycopg.Connection[object], workload: Workload, strict: bool) -> None:
    connection.execute("set statement_timeout = '60s'")
    run(connection, workload.layer, strict=strict)
    if connection.info.transaction_status:
        connection.execute("rollback")


def main() -> int:
    """Print one line a file, then what was not undone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeded", action="store_true")
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    total = Tally()
    with tempfile.TemporaryDirectory() as project:
        os.environ.setdefault("SEATRIAL_CACHE", str(Path(project, "cache")))
        lab = Lab(Path(project))
        for workload in folder(chosen.folder, seeded=chosen.seeded):
            if chosen.only and chosen.only not in workload.name:
                continue
            try:
                part = tally(lab, [workload])
            except Exception as error:  # noqa: BLE001 - one file must not end the run
                print(f"{workload.name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
                continue
            print(f"{workload.name}: {part}", flush=True)
            for name, back in part.leaks:
                print(f"  LEAK {name}: {back}"[:1500], flush=True)
            for name, reason in part.clones:
                print(f"  clone {name}: {reason}"[:300], flush=True)
            total.paths += part.paths
            total.leaks += part.leaks
        lab.close()
    print(
        f"{total}; {total.share:.1%} without a clone, {total.from_log:.1%} of those that wrote undone from the log; "
        f"{len(total.leaks)} leaks"
    )
    return 1 if total.leaks else 0


if __name__ == "__main__":
    sys.exit(main())
