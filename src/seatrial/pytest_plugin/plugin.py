"""The hooks of a configured project: each asks the harness."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

import seatrial
from seatrial.config.layers import pairs
from seatrial.config.load import load
from seatrial.config.model import ISOLATIONS, Config
from seatrial.errors import SeatrialError
from seatrial.harness.compose import compose
from seatrial.harness.harness import Harness
from seatrial.harness.run import VARIABLE, Run
from seatrial.pytest_plugin import fixtures, markers
from seatrial.pytest_plugin.context import ItemContext
from seatrial.pytest_plugin.django import DjangoTests
from seatrial.pytest_plugin.plain import plain_errors
from seatrial.pytest_plugin.setups import SetupWatch
from seatrial.pytest_plugin.usage import Usage
from seatrial.pytest_plugin.wider import WiderFixtures
from seatrial.pytest_plugin.workers import has_workers, refuse_shared_address
from seatrial.report.broken import Broken
from seatrial.report.disturbed import Disturbances
from seatrial.report.endings import Endings
from seatrial.report.explain import Explain
from seatrial.report.setups import Setups
from seatrial.report.summary import Summary
from seatrial.report.unseen import unseen


class SeatrialPlugin:
    """Everything of one pytest process: the harness, who uses what, and what is reported."""

    def __init__(
        self, config: Config, harness: Harness, run: Run, reporters: tuple[Summary, Explain, Disturbances, Broken]
    ) -> None:
        self.config = config
        self.harness = harness
        self.run = run
        self.summary, self.explain, self._disturbances, self._broken = reporters
        self.setups, self.endings = Setups(), Endings()
        addresses = {name: managed.plan.address for name, managed in harness.resources.items()}
        meant = [resource.name for resource in config.resources if "django" in resource.schema]
        self._django = DjangoTests(addresses, meant)
        self._names = fixtures.names(harness, with_app=bool(config.app))
        self._usage = Usage(self._names, harness.resources, _modules(config), self._django.resources)
        self._item: pytest.Item | None = None
        """The test that pytest has come to."""
        self._test: ItemContext | None = None
        self._enclosed = False
        """Whether the test that is torn down shares a transaction with its class."""
        self._carried = False
        """Whether the lease of the test before is still held, for the rest of its class."""
        self._why = ""
        self._last = False
        self._told: set[str] = set()
        self._environment: str | None = None

    @classmethod
    def open(cls, config: pytest.Config, found: Path) -> SeatrialPlugin:
        """Read the configuration, fix the addresses, export the environment. Starts no server.

        Raises:
            SeatrialError: the configuration says what can't be, or something of it can't be had here.
        """
        options = config.known_args_namespace
        reporters = Summary(), Explain(), Disturbances(), Broken()

        def emit(event: Any) -> None:
            for reporter in reporters:
                reporter.handle(event)

        settings = load(found, environ=os.environ, options=pairs(options.seatrial_set))
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        run = (Run.joined(settings.root, worker) if worker else None) or Run.new(settings.root)
        harness = compose(settings, run, keep=options.seatrial_keep, audit=options.seatrial_audit, emit=emit)
        harness.open()
        plugin = cls(settings, harness, run, reporters)
        plugin._announce()
        return plugin

    def register(self, config: pytest.Config) -> None:
        """Be a plugin of this session, with fixtures that step aside for those of other plugins."""
        taken = fixtures.taken_by_plugins(config, list(self._names))
        refuse_shared_address(config, self.config)
        module = fixtures.fixture_module(self.harness, self, with_app=bool(self.config.app), taken=taken)
        wider = WiderFixtures(self.harness, self._names, self._django.encloses, self)
        config.pluginmanager.register(self, "seatrial-session")
        config.pluginmanager.register(SetupWatch(self.setups), "seatrial-setups")
        config.pluginmanager.register(wider, "seatrial-wider-fixtures")
        config.pluginmanager.register(module, "seatrial-fixtures")

    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        """Server, version, provider and isolation of each resource, and the patches that hold."""
        lines = [f"seatrial {seatrial.__version__}: {self.config.source.name}"]
        for name, managed in self.harness.resources.items():
            endpoint = managed.plan.server.endpoint
            lines.append(
                f"  {name}: {endpoint.kind} {endpoint.version} ({endpoint.provider}), "
                f"isolation {managed.plan.isolation}, {', '.join(managed.plan.variables or managed.plan.elsewhere)}"
            )
        lines.extend(f"  service {each.name}: {each.app or each.cmd} ({each.run})" for each in self.config.services)
        lines.extend(f"  patch: {patch.name}" for patch in self.harness.patches)
        if config.option.seatrial_audit:
            lines.append("  audit: after each test every database is compared with its baseline")
        return lines

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """See that nothing of a test's own is set up before its own part, and all that outlives it is."""
        for item in items:
            for name in self._django.takes(item):
                fixtures.take(item, name)
            fixtures.put_first(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Before the first test: start what the collected tests use, and what has a fixed address."""
        if session.config.option.collectonly or has_workers(session.config):
            return
        needed = {name for item in session.items for name in self._usage.needs(item)}
        if session.items:
            needed.update(resource.name for resource in self.config.resources if resource.at)
        self.harness.start(name for name in self.harness.resources if name in needed)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """What the test needs is there before its first fixture, of whatever scope; else the test is told why.

        An item without fixtures (of another plugin's kind) has no own part: all of it is enclosed.
        """
        self._item = item
        with plain_errors(self.tell):
            self.harness.require(self._usage.needs(item))
        if fixtures.OWN_PART not in getattr(item, "fixturenames", ()):
            self.begin()

    def begin(self) -> None:
        """Check out: the fixtures of wider scope are set up, the test's own are not. Once for each test."""
        item = self._item
        assert item is not None, "pytest runs a test"
        if self._test is not None:
            return  # its class has a transaction, and was begun with it
        self._test = ItemContext(item)
        with plain_errors(self.tell):
            if self._carried:
                self.harness.carry_on(self._test)
            else:
                asked = markers.isolations(
                    item,
                    tuple(self.harness.resources),
                    ISOLATIONS,
                    lambda name: self.harness.resources[name].plan.impossible,
                )
                self.harness.begin(self._test, asked, self._usage.needs(item))
            self._why = self.harness.why()
            requested = set(getattr(item, "fixturenames", ()))
            services = [name for name in self.harness.services.names if requested & {name, f"seatrial_{name}"}]
            self.harness.begin_app(wanted=bool(self._clients & requested), services=services)

    def at_end(self, act: Callable[[], None]) -> None:
        """Call `act` when the running test's own fixtures are gone, before it is checked in; last added first."""
        assert self._test is not None, "a test runs"
        self._test.add_cleanup(act)

    def end(self) -> None:
        """Check in: the test's own fixtures are gone. Fails the test where it must be told something."""
        if self._enclosed:
            return  # the transaction of its class is still open: `pytest_runtest_teardown` comes after that
        told = self._end()
        if told:
            pytest.fail("\n\n".join(self.tell(complaint) for complaint in told), pytrace=False)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Where it fails: what services log of its requests, once they have answered, is still the test's own."""
        try:
            return (yield)
        except BaseException:
            self.harness.services.settle()
            raise

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """With a failure, show what the server logged during the test; and by whom it was disturbed, in any case."""
        disturbed = self._disturbances.take(item.nodeid) if call.when == "teardown" else ""
        if disturbed:
            item.user_properties.append(("seatrial_disturbed", disturbed))
        report = yield
        if disturbed:
            report.__dict__["seatrial_disturbed"] = disturbed
            report.sections.append(("seatrial, at teardown", disturbed))
        test = self._test
        if call.when == "call" and self._why:
            report.__dict__["seatrial_why"] = self._why  # it travels with the report of a worker
        if report.failed and test is not None and test.id == item.nodeid and call.when != "teardown":
            test.failed = True
            self.harness.explain_failure(test)
            report.sections.extend(test.sections)
        if report.failed and call.excinfo is not None:
            error = call.excinfo.value
            told = unseen(error, self.harness.idle_ports()) or self._broken.of(error, item.nodeid)
            report.sections.extend([("seatrial", told)] if told else [])
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """See that every test is checked in, also one without fixtures."""
        self._last = nextitem is None
        self._carried = self.harness.in_test and self._django.goes_on(item, nextitem)
        self._enclosed = self._django.encloses(item)
        try:
            result = yield
        except BaseException as error:
            self._enclosed = False
            for complaint in self._end():
                error.add_note(str(complaint))
            raise
        self._enclosed = False
        self.end()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport, config: pytest.Config
    ) -> Generator[None, Any, Any]:
        """With `-v`: which isolation was chosen for the test, and why; and whether it was disturbed."""
        status = yield
        disturbed = getattr(report, "seatrial_disturbed", "")
        if disturbed and report.passed:
            # Without a category of its own: pytest shows sections of those tear-downs only with a failure.
            return "", "d", (f"DISTURBED [{disturbed}]", {"yellow": True})
        why = getattr(report, "seatrial_why", "")
        if not why or config.option.verbose < 1:
            return status
        category, letter, word = status
        plain, markup = word if isinstance(word, tuple) else (word, {})
        return category, letter, (f"{plain} [{why}]", markup) if markup else f"{plain} [{why}]"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Everything down again; a worker hands its figures to the controller. What fails then fails the run."""
        try:
            self._close()
        except SeatrialError as error:
            self.endings.add(error)
        if self.endings.texts and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["seatrial"] = {
                "summary": self.summary.dump(),
                "explain": self.explain.lines,
                "setups": self.setups.dump(),
                "endings": self.endings.texts,
            }

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take in what a worker of pytest-xdist has seen."""
        told = getattr(node, "workeroutput", {}).get("seatrial")
        if told:
            self.summary.load(told["summary"])
            self.explain.lines.extend(told["explain"])
            self.setups.load(told["setups"])
            self.endings.load(told["endings"])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        """What it took to bring the tests back to the baseline."""
        lines = [*self.summary.lines(), *self.setups.lines()]
        explained = config.option.seatrial_explain
        if explained:
            lines = [*self.explain.lines, *lines]
        if (lines and (explained or config.option.verbose >= 0)) or self.summary.notable():
            terminalreporter.section("seatrial", sep="-")
            for line in lines:
                terminalreporter.line(line)
        if self.endings.texts:
            terminalreporter.section("seatrial: after the last test", sep="-", red=True)
            for text in self.endings.texts:
                terminalreporter.line(text)

    def pytest_unconfigure(self) -> None:
        """Also where no session came to its end."""
        self._close()

    def _end(self) -> list[SeatrialError]:
        test, self._test, self._why = self._test, None, ""
        if test is None:  # it was skipped, say: the test before may have left it the lease of its class
            return self._give_back() if self.harness.in_test and not self._carried else []
        try:
            test.clean_up()
        except BaseException as error:
            for complaint in self._check_in():
                error.add_note(str(complaint))
            raise
        return self._check_in()

    def _check_in(self) -> list[SeatrialError]:
        told: list[SeatrialError] = []
        try:
            self.harness.end_app()
        except SeatrialError as error:
            told.append(error)
        except BaseException as error:  # a time-out of the test's, say: wider fixtures are torn down before the next
            for complaint in self._give_back():
                error.add_note(str(complaint))
            raise
        return [*told, *self._give_back()]

    def _give_back(self) -> list[SeatrialError]:
        return self.harness.pause() if self._carried else self.harness.end(last=self._last)

    @property
    def _clients(self) -> set[str]:
        """The fixtures for which the app is imported."""
        return (
            {f"{prefix}{name}" for name in fixtures.CLIENTS for prefix in ("", "seatrial_")}
            if self.config.app
            else set()
        )

    def tell(self, error: SeatrialError) -> str:
        """The whole error for the first test that meets it, one line for the others."""
        text = str(error)
        if text in self._told:
            return f"{error.what} (told in full at the first test that met it)"
        self._told.add(text)
        return text

    def _announce(self) -> None:
        """To the workers of this run. A worker has none: another pytest that its tests start is no worker of ours."""
        self._environment = os.environ.pop(VARIABLE, None)
        if self.run.shared:
            return
        ports = {name: managed.plan.server.endpoint.admin.port for name, managed in self.harness.resources.items()}
        os.environ[VARIABLE] = self.run.announcement(ports)

    def _close(self) -> None:
        self.harness.close()
        if self._environment is not None:
            os.environ[VARIABLE] = self._environment
        else:
            os.environ.pop(VARIABLE, None)


def _modules(config: Config) -> list[str]:
    """The modules that the configuration points at."""
    apps = (config.app, *(service.app for service in config.services))
    paths = [*apps, *(path for resource in config.resources for path in (resource.override, *resource.schema))]
    return [path.partition(":")[0] for path in paths if ":" in path and "/" not in path and " " not in path]
