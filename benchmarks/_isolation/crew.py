"""Processes that do the measuring, each with a scene of its own or as one of several workers on one server.

A process of its own for each scene, because the harness of Seatrial is one a process, as in a test run.
"""

from __future__ import annotations

import gc
import multiprocessing
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from . import ours, theirs
from .peer import Peer, one_test
from .places import Place
from .scene import MAIN, scene

Tests = list[dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a process has to make, before it waits for orders."""

    place: Place
    tables: int
    rows: int = 0
    project: str = ""
    worker: str = MAIN

    def open(self, stack: ExitStack) -> tuple[str, list[Peer]]:
        """The title of its figures, and the peers."""
        made = stack.enter_context(scene(self.place, self.tables, self.rows, project=self.project, worker=self.worker))
        cast = [*stack.enter_context(ours.seatrial(made)), *stack.enter_context(theirs.peers(made))]
        return made.column, cast


class Opens(Protocol):
    """A job of any kind."""

    def open(self, stack: ExitStack) -> tuple[str, list[Peer]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One process, told what to do by a pipe."""

    pipe: Any
    column: str
    peers: dict[str, str]
    """What each peer does, by its name."""
    rare: frozenset[str]
    """Peers that take seconds for a test."""

    def answer(self) -> Any:
        """What it says to the last order.

        Raises:
            SystemExit: it failed; with its traceback.
        """
        return _answer(self.pipe)


def hire(jobs: Sequence[Opens], stack: ExitStack) -> list[Worker]:
    """Processes that are ready for orders; they end with the stack."""
    context = multiprocessing.get_context("spawn")
    hired = []
    for job in jobs:
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(job, there))
        process.start()
        there.close()
        stack.callback(_end, process)
        stack.callback(here.close)
        hired.append(here)
    return [Worker(pipe=pipe, **_answer(pipe)) for pipe in hired]


def one_round(workers: Sequence[Worker], peer: str, tests: int = 0) -> Tests:
    """A peer's tests on all workers at once (0: its own number of them); all settle before, and tidy after."""
    found: list[Tests] = []
    for step in ("settle", "test", "tidy"):
        for worker in workers:
            worker.pipe.send((step, peer, tests))
        answers = [worker.answer() for worker in workers]
        found = answers if step == "test" else found
    return [test for answer in found for test in answer]


def paths(worker: Worker, peer: str) -> dict[str, int]:
    """How a peer's tests were undone until now."""
    worker.pipe.send(("paths", peer, 0))
    found: dict[str, int] = worker.answer()
    return found


def _answer(pipe: Any) -> Any:
    try:
        good, answer = pipe.recv()
    except EOFError:
        good, answer = False, "a process of the benchmark ended"
    if not good:
        raise SystemExit(answer)
    return answer


def _end(process: Any) -> None:
    process.join(30)
    if process.is_alive():
        process.kill()


def _work(job: Opens, pipe: Any) -> None:
    """The life of a process: until the pipe is closed."""
    try:
        with ExitStack() as stack:
            column, cast = job.open(stack)
            peers = {peer.name: peer for peer in cast}
            does = {peer.name: peer.does for peer in cast}
            rare = frozenset(peer.name for peer in cast if peer.rare)
            pipe.send((True, {"column": column, "peers": does, "rare": rare}))
            while True:
                try:
                    step, name, tests = pipe.recv()
                except EOFError:
                    return
                pipe.send((True, _STEPS[step](peers[name], tests)))
    except BrokenPipeError:
        return
    except Exception:  # noqa: BLE001 - whatever it is, the parent tells it
        pipe.send((False, traceback.format_exc()))


def _settle(peer: Peer, _: int) -> None:
    gc.collect()
    peer.settle()


_STEPS: dict[str, Callable[[Peer, int], object]] = {
    "settle": _settle,
    "test": lambda peer, tests: [one_test(peer) for _ in range(tests or peer.tests)],
    "tidy": lambda peer, _: peer.tidy() and None,
    "paths": lambda peer, _: dict(peer.paths),
}
