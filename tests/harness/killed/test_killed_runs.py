"""Whoever is killed, and when: nothing of ours runs on, the next start sweeps the rest, and the next run works.

A run is a child of this process, forked with everything imported: a controller, and a worker that works through the
phases of a run on a real server. A pytest that is killed leaves no more behind than these do: it runs no finalizers
on SIGTERM either. In each run of the tests PostgreSQL's are killed in every way, and the other kinds' in eight; by night
all in every way.

One promise is itself a time: nothing is left two seconds after the supervisor's idle time, or after its own death. What
two seconds are to a machine that does much else is told by a yardstick, laid on at the same moment: see `Yardstick`.
"""

from __future__ import annotations

import signal
import sys
import tempfile

import pytest
from tests.conftest import end_servers
from tests.harness.killed.project import VICTIMS, Killed
from tests.harness.killed.runs import PHASES
from tests.harness.killed.sorts import OTHERS, POSTGRES

SIGNALS = (signal.SIGKILL, signal.SIGTERM)
IDLE = 0.05
FIRST = tuple(zip(PHASES, VICTIMS, SIGNALS * 2, strict=True))
SECOND = tuple(zip(PHASES, (*VICTIMS[2:], *VICTIMS[:2]), SIGNALS[::-1] * 2, strict=True))
"""In two rounds each phase and each victim meets both signals."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


@pytest.fixture(scope="module")
def sort():
    """What is killed, where a test does not say otherwise."""
    return POSTGRES


@pytest.fixture(scope="module")
def killed(tmp_path_factory, sort):
    store = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_CACHE", str(store))
        patch.setenv("SEATRIAL_IDLE", str(IDLE))
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
        project = Killed(sort, tmp_path_factory.mktemp("project"), store, IDLE)
        if why_not := project.unavailable():
            pytest.skip(why_not)
        yield project
        end_servers(store)


def of_each(sorts):
    return pytest.mark.parametrize("sort", sorts, ids=lambda sort: sort.kind, scope="module")


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("phase", PHASES)
def test_a_run_that_is_killed_leaves_nothing_and_the_next_works(killed, phase, number):
    for victim in VICTIMS:
        killed.kill(phase, victim, number)
    killed.whole()


@of_each(OTHERS)
def test_a_run_on_another_kind_of_server_that_is_killed_leaves_nothing_and_the_next_works(killed):
    for each in (FIRST, SECOND):
        for phase, victim, number in each:
            killed.kill(phase, victim, number)
    killed.whole()


@pytest.mark.nightly
@of_each((POSTGRES, *OTHERS))
@pytest.mark.parametrize("repeat", range(20))
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("phase", PHASES)
def test_and_again_and_again(killed, phase, number, repeat):
    for victim in VICTIMS:
        killed.kill(phase, victim, number)
    killed.whole()
