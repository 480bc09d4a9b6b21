"""One run of one worker: resources up, leases out, everything down again; front ends only talk to this."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from types import ModuleType
from typing import Any

from seatrial import events
from seatrial.apps.dependencies.owners import Owners
from seatrial.apps.protocol import App
from seatrial.core.importing import uncollected
from seatrial.errors import SeatrialError
from seatrial.harness.asked.checks import Checks
from seatrial.harness.asked.seen import Exchanges, Statements
from seatrial.harness.asked.watch import Watch
from seatrial.harness.borders.starting import failure_of
from seatrial.harness.environment import Environment, past_proxies
from seatrial.harness.loans import Loans
from seatrial.harness.plan import Plan
from seatrial.harness.protocol import TestContext
from seatrial.harness.resource.managed import Managed
from seatrial.harness.services import Services
from seatrial.harness.wider import WiderScope
from seatrial.patches.protocol import Patch

APP = "app"
"""What the project's app is called where it asks or answers."""


class Harness:
    """The resources and the app of one worker, for as long as its tests run.

    Args:
        plans: what `compose` made of the configuration.
        load_app: imports the project's app; None where the configuration names none.
        watch: takes down what each test asks; None where that is not to be seen from this process.
        checks: what is made of that.
        services: apps besides the one of `load_app`.
        loans: servers that are lent to suites written for other tools.
        patches: changes to other libraries that hold while the harness does.
        keep: whether the copies of failed tests are kept (or, if none fails, the last test's).
        emit: who is told what happened.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        *,
        load_app: Callable[[], App] | None,
        watch: Watch | None = None,
        checks: Checks | None = None,
        loans: Loans | None = None,
        services: Services | None = None,
        patches: Sequence[Patch] = (),
        keep: bool = False,
        emit: events.Emit = events.ignore,
    ) -> None:
        self.resources = {plan.name: Managed(plan, emit) for plan in plans}
        self.wider = WiderScope(self.resources)
        self.patches = patches
        self._watch = watch or Watch({})
        self._checks = checks or Checks(lambda _: None)
        self._loans = loans
        self.services = services or Services((), self._watch, _no_client)
        self._load_app = load_app
        mine = (APP,) if load_app is not None else ()
        self._owners = Owners({name: (*mine, *self.services.users(name)) for name in self.resources})
        self._keep = keep
        self._emit = emit
        self._kept = False
        self._app: App | None = None
        self._test: TestContext | None = None
        self._isolations: Mapping[str, str] = {}
        self._joins: Collection[str] | None = None
        self._failed = False
        """Whether a test before the running one, with which it shares its leases, has failed."""
        self._environment = Environment()

    def open(self) -> None:
        """Export the environment and apply the patches. Starts only what an app needs while it is imported."""
        self._environment.export(past_proxies(os.environ))
        for managed in self.resources.values():
            self._environment.export(managed.plan.variables)
        self._environment.export(self.services.variables())
        self._apply()
        for managed in self.resources.values():
            if managed.plan.early:
                _attempt(managed, managed.supply.await_import)

    def start(self, names: Iterable[str]) -> None:
        """Have these resources ready, side by side; what fails is kept, and told to each test that asks."""
        waiting = [each for name in names if not (each := self.resources[name]).started and each.failure is None]
        if not waiting:
            return  # as before nearly every test
        for managed in waiting if self._test is None else ():  # a test may have set a variable for itself
            _attempt(managed, partial(self._environment.check, managed.plan))
        asleep = [managed for managed in waiting if not managed.supply.serving and managed.failure is None]
        with uncollected():
            _serve(asleep)
        for managed in waiting:
            if managed.failure is None:
                _attempt(managed, managed.prepare)

    def require(self, names: Sequence[str]) -> None:
        """Have these resources ready; raises what kept one from it.

        What the running test asks for first, in its midst, is lent to it as if it had been known before.
        """
        new = [name for name in names if not self.resources[name].started] if self._test is not None else []
        self.start(names)
        for name in names:
            failure = self.resources[name].failure
            if failure is not None:
                raise failure
        for name in new:
            self._lend(name)

    def build(self) -> dict[str, str]:
        """Have the templates of all resources, and no copies; returns their keys, by resource.

        May be called again and again: a failure is raised, and not remembered.
        """
        keys = {}
        for name, managed in self.resources.items():
            managed.supply.serve()
            keys[name] = managed.supply.build()
        return keys

    def begin(
        self,
        test: TestContext,
        isolations: Mapping[str, str],
        needs: Iterable[str],
        *,
        joins: Collection[str] | None = None,
    ) -> None:
        """A test's own part starts: it gets a lease on each resource that it needs, and on each that runs already.

        Args:
            test: the test.
            isolations: by resource, where the test asks for another than the configured one.
            needs: resources that the test uses; they are started now if they are not.
            joins: resources for which rollback may be chosen, if that is not up to their sessions alone.
        """
        self.require(list(needs))
        self._apply()
        self._test, self._isolations, self._joins = test, isolations, joins
        for name, managed in self.resources.items():
            if managed.started and managed.failure is None:
                self._lend(name)
        self._watch.begin(test.id)
        self._checks.begin(test.id)

    def _apply(self) -> None:
        for patch in self.patches:
            patch.apply()

    def _lend(self, name: str) -> None:
        assert self._test is not None, "only a test gets a lease"
        managed, asked = self.resources[name], self._isolations.get(name)
        reason = "the test's marker" if asked else "the configuration"
        joins = self._joins is None or name in self._joins
        managed.begin(self._test.id, asked or managed.plan.isolation, reason, joins=joins)

    @property
    def in_test(self) -> bool:
        """Whether a test runs, and has its leases."""
        return self._test is not None

    def pause(self) -> list[SeatrialError]:
        """The test is over, and keeps its leases for the next, which shares an open transaction with it."""
        return self._end_watch()

    def carry_on(self, test: TestContext) -> None:
        """`test` goes on with the leases of the test that was paused."""
        self._failed = self._failed or (self._test is not None and self._test.failed)
        self._apply()
        self._test = test
        self._watch.begin(test.id)
        self._checks.begin(test.id)

    def begin_app(self, *, wanted: bool, services: Iterable[str] = ()) -> None:
        """The running test's own fixtures come next: the app's overrides until now are the project's, and stay.

        Args:
            wanted: whether the test asks for a client of ours: the app is then imported now, if it was not.
            services: those whose clients it asks for; they run afterwards, and so does what they need.
        """
        if wanted or self._app is not None:
            self._begin_app()
        self.services.begin(services, self._override)

    def end_app(self) -> None:
        """The test's own fixtures are gone: its clients are closed, its overrides taken back."""
        try:
            if self._app is not None:
                self._app.restore()
        finally:
            self.services.restore()

    def explain_failure(self, test: TestContext) -> None:
        """The running test has failed: show with it what it asked, and what its servers logged meanwhile."""
        if self.exchanges:
            test.log("exchanges of this test", self.exchanges.describe())
        self.services.explain_failure(test)
        for managed in self.resources.values():
            if managed.leased:
                text = managed.log_of_test()
                if text:
                    test.log(f"log of the {managed.plan.kind.name} server of {managed.plan.name}", text)
                rerun = managed.rerun()
                if rerun:
                    test.log(f"isolation of {managed.plan.name}", rerun)

    def idle_ports(self) -> dict[str, int]:
        """The ports of the resources that were not started, by name: an app may know them all the same."""
        return {name: each.plan.address.port for name, each in self.resources.items() if not each.supply.serving}

    def why(self) -> str:
        """Why the running test has its isolation, where we chose it; empty where we did not."""
        return "; ".join(filter(None, (managed.why() for managed in self.resources.values())))

    def note(self, names: Iterable[str], text: str) -> None:
        """Have the summary say something of these resources."""
        for name in names:
            self._emit(events.Note(resource=name, text=text))

    def end(self, *, last: bool = False, keep: bool = False, recover: bool = True) -> list[SeatrialError]:
        """The test is over: everything that it had is back at its baseline. Returns what it must be told.

        Args:
            last: no test follows in this worker.
            keep: keep the copies of this test, whatever else is kept.
            recover: start a server again that has died meanwhile: there are tests to follow.
        """
        leased = [managed for managed in self.resources.values() if managed.leased]
        with ExitStack() as rest:  # where one is broken off, or what comes before, as by a time-out of the test's
            for managed in leased:
                rest.callback(managed.break_off)
            test, self._test = self._test, None
            told = self._end_watch()
            failed = self._failed or (test is not None and test.failed)
            self._failed = False
            keep = keep or (self._keep and (failed or (last and not self._kept)))
            for managed in leased:
                told.extend(managed.end(keep=keep, failed=failed, recover=recover))
                self._kept = self._kept or keep
        if test is not None:
            # When all are back: what a test changed of the whole server is undone with one of them.
            for managed in self.resources.values():
                told.extend(managed.audit(test.id))
        return told

    @property
    def exchanges(self) -> Exchanges:
        """What the running test has asked by HTTP: a list that grows."""
        return Exchanges(lambda: self._watch.exchanges)

    def statements(self, name: str) -> Statements:
        """What drivers sent to a resource while the test ran: a list that grows."""
        return Statements(name, lambda: self._watch.statements)

    def session(self, name: str) -> Any:
        """The running test's own session on a resource; before its own part, that of fixtures of wider scope."""
        self.require([name])
        return self.resources[name].sessions.session()

    def url(self, name: str) -> str:
        """The URL of this worker's copy: the same from the first test to the last. It is there from now on."""
        self.require([name])
        return self.resources[name].plan.address.url()

    def app(self) -> App:
        """The app. A test may ask for it in its midst: what it may use is lent then."""
        self.require(tuple(self.resources))
        return self._app or self._begin_app()

    def service(self, name: str) -> Any:
        """The running test's HTTP client of a service."""
        self.require(self.services.resources(name))
        return self.services.client(name)

    def close(self) -> None:
        """The run is over: the app's lifespan ends, copies are dropped, servers are let go, patches undone."""
        app, self._app = self._app, None
        with ExitStack() as last_things:  # the last one registered comes first; an error of one keeps none from its end
            last_things.callback(self._environment.restore)
            for patch in self.patches:
                last_things.callback(patch.undo)
            if self._loans is not None:
                last_things.callback(self._loans.close)
            for managed in reversed(self.resources.values()):
                last_things.callback(managed.close)
            last_things.callback(self.services.close)
            if app is not None:
                last_things.callback(app.close)

    def _end_watch(self) -> list[SeatrialError]:
        apps = {**self.services.apps, **({APP: self._app.target} if self._app is not None else {})}
        told = self._checks.end(self._watch.exchanges, apps)
        self._watch.end()
        return [*told, *self.services.end()]

    def _begin_app(self) -> App:
        assert self._load_app is not None, "the configuration names no app"
        if self._app is None:
            app = self._load_app()
            self._environment.check(*(managed.plan for managed in self.resources.values()))
            self._app = app
        self._app.begin()
        self._override(APP, self._app, self.resources)
        return self._app

    def _override(self, name: str, app: App, resources: Iterable[str]) -> None:
        self._owners.override(name, app, {each: self._replacements(self.resources[each]) for each in resources})

    @staticmethod
    def _replacements(managed: Managed) -> dict[Callable[..., Any], Callable[..., Any]]:
        """The dependency of the app that stands for a resource, and what takes its place in this test."""
        if managed.leased and managed.plan.override is not None:
            replacement = managed.sessions.dependency()
            if replacement is not None:
                return {managed.plan.override(): replacement}
        return {}


def _no_client() -> ModuleType:
    raise AssertionError("there is no service to make a client of")


def _serve(asleep: Sequence[Managed]) -> None:
    if len(asleep) > 1:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(asleep)) as pool:
            list(pool.map(lambda managed: _attempt(managed, managed.supply.serve), asleep))
    else:
        for managed in asleep:
            _attempt(managed, managed.supply.serve)


def _attempt(managed: Managed, step: Callable[[], None]) -> None:
    managed.failure = failure_of(step, managed.plan)
