"""A run that stops in one phase, to be killed there: a controller and a worker, forked with everything imported."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import traceback

from seatrial.config.load import load
from seatrial.core import wait
from seatrial.errors import SeatrialError
from seatrial.harness.compose import compose
from seatrial.harness.run import Run
from seatrial.resources.supervisor import client

PHASES = ("start", "template", "test", "end")
PATIENCE = 120.0
"""Seconds for what takes one or two, on a machine that does much else: only what hangs takes longer."""


def begin(sort, folder, phase):
    """Starts a run; returns its controller and its worker once it is in that phase, and what lets it go on."""
    told, tell = os.pipe()
    hold, go = os.pipe()
    controller = os.fork()
    if not controller:
        os.close(told)
        os.close(go)
        _end_with(lambda: _control(sort, folder, phase, tell, hold))
    os.close(tell)
    os.close(hold)
    came = select.select([told], [], [], PATIENCE)[0]
    worker = int(os.read(told, 32) or 0) if came else 0
    os.close(told)
    if not worker:
        os.close(go)  # no later run meets this one
        raise AssertionError(
            f"it ended before {phase}: {wait_for(controller)}" if came else f"it never came to {phase}"
        )
    return controller, worker, go


def wait_for(pid):
    """The exit status of a child of ours."""
    ended = []

    def look():
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended.append(os.waitstatus_to_exitcode(status))
        return bool(ended)

    assert wait.until(look, timeout=PATIENCE * 2), f"{pid} does not end"
    return ended[0]


def composed(folder, run):
    """The harness of the project there."""
    return compose(load(folder / "seatrial.toml", environ=os.environ, options={}), run)


def _control(sort, folder, phase, tell, hold):
    """The controller: it has reserved what the worker uses, and waits for its end."""
    reserved = composed(folder, Run(id="k1lled", root=folder, worker="main"))
    ports = {name: each.plan.server.endpoint.admin.port for name, each in reserved.resources.items()}
    watched, mine = os.pipe()
    worker = os.fork()
    if not worker:
        os.close(mine)
        run = Run(id="k1lled", root=folder, worker="gw0", ports=ports)
        _end_with(lambda: _work(sort, folder, run, phase, tell, hold, watched))
    os.close(tell)
    status = wait_for(worker)
    reserved.close()
    if status:
        raise SystemExit(status)


def _work(sort, folder, run, phase, tell, hold, watched):
    """The worker. In its phase it says so and stops, until it may go on; it ends when its controller does."""

    def stop(reached, told=[]):  # noqa: B006 - it stops once: a server that was killed is started again
        if reached == phase and not told:
            told.append(phase)
            os.write(tell, str(os.getpid()).encode())
            os.close(tell)
            ready = select.select([hold, watched], [], [], PATIENCE * 2)[0]
            if watched in ready:
                os._exit(0)

    threading.Thread(target=lambda: (os.read(watched, 1), os._exit(0)), daemon=True).start()
    spawn = client.spawn

    def spawning(*arguments):
        found = spawn(*arguments)
        stop("start")
        return found

    client.spawn = spawning
    sys.path.insert(0, str(folder))  # where the seed is
    harness = composed(folder, run)
    plan = harness.resources["db"].plan
    opened = type(plan.kind).open

    def opening(*arguments, **keys):
        type(plan.kind).open = opened
        store = opened(*arguments, **keys)
        build, drop = type(store).build, type(store).drop

        def building(self, key, name, fill):
            return build(self, key, name, lambda target: (fill(target), stop("template")))

        def dropping(self, name):
            stop("end")
            drop(self, name)

        type(store).build, type(store).drop = building, dropping
        return store

    type(plan.kind).open = opening
    try:
        harness.open()
        with contextlib.suppress(SeatrialError):  # its server may have been killed
            harness.require(["db"])
            harness.begin(_Test(), {"db": "reset"}, ["db"])
            assert harness.resources["db"].started
            sort.use(plan)
            stop("test")
            harness.end(last=True)
    finally:
        harness.close()


class _Test:
    id, failed = "test_it.py::test_it", False

    def add_cleanup(self, cleanup):
        cleanup()

    def log(self, title, text):
        pass


def _end_with(work):
    """In a forked child: never back into pytest."""
    status = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        work()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:  # noqa: BLE001 - nothing may get out of the forked child but its end
        traceback.print_exc()
    finally:
        os._exit(status)
