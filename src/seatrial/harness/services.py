"""The services of one worker: each an app of this process or a process of its own, with an address for each caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from seatrial.apps.observe.seen import Seen, in_one_line
from seatrial.apps.protocol import App
from seatrial.errors import AppError, SeatrialError
from seatrial.harness.asked.watch import TEST, Watch
from seatrial.harness.protocol import TestContext
from seatrial.services.order import needed, rounds

if TYPE_CHECKING:
    from seatrial.apps.inprocess import InProcess
    from seatrial.apps.process import Process
    from seatrial.services.edge import Call, Edge, Reply

Override = Callable[[str, App, Iterable[str]], None]
"""Called with a service's name, its app, and the resources whose dependencies are to be replaced in it."""

PATIENCE = 30.0
"""Seconds that a test's client waits for a service which is not called directly, where the test says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """What `compose` made of one service's configuration; nothing is started or imported."""

    name: str
    needs: tuple[str, ...]
    resources: tuple[str, ...]
    variables: Callable[[Mapping[str, str]], dict[str, str]]
    """Its variables, given the URLs of the services that it needs."""
    load: Callable[[], InProcess] | None = None
    """Imports the app of one that runs in this process."""
    process: Callable[[Mapping[str, str]], Process] | None = None
    """Makes the process of one that does not, given its variables."""
    direct: bool = False
    """Whether calls from this process to it need no socket."""


class Services:
    """All of them. They start when a test first needs them, and last until `close`.

    Args:
        plans: what `compose` made.
        watch: takes down who asked whom.
        library: makes clients: httpx or httpx2.
    """

    def __init__(self, plans: Sequence[ServicePlan], watch: Watch, library: Callable[[], ModuleType]) -> None:
        self._plans = {plan.name: plan for plan in plans}
        self._needs = {plan.name: plan.needs for plan in plans}
        self._watch = watch
        self._library = library
        self._edges = {
            (caller, name): self._edge(caller, name)
            for name in self._plans
            for caller in (TEST, *(plan.name for plan in plans if name in plan.needs))
        }
        self._inner: dict[str, InProcess] = {}
        self._outer: dict[str, Process] = {}
        self._failures: dict[str, AppError] = {}
        """Processes that did not start: whoever asks for one is told so at once, and does not wait again."""
        self._marks: dict[str, int] = {}
        self._running: set[str] = set()
        """Those that the running test uses."""
        self._clients: list[Any] = []
        self._override: Override = _as_it_is

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the configuration."""
        return tuple(self._plans)

    @property
    def apps(self) -> dict[str, Any]:
        """The apps that were imported into this process, by name."""
        return {name: app.target for name, app in self._inner.items()}

    @property
    def bridges(self) -> dict[tuple[str, int], Callable[[ModuleType], Any]]:
        """Host and port of each address whose service can be reached without a socket, and the way to it."""
        return {
            (edge.host, edge.port): self._bridge(edge.answerer)
            for edge in self._edges.values()
            if self._plans[edge.answerer].direct
        }

    def resources(self, name: str) -> tuple[str, ...]:
        """The resources that a service uses, and those that it needs use."""
        names = needed([name], self._needs)
        return tuple(dict.fromkeys(each for other in names for each in self._plans[other].resources))

    def users(self, resource: str) -> Iterator[str]:
        """The services of this process that use a resource."""
        return (plan.name for plan in self._plans.values() if plan.load is not None and resource in plan.resources)

    def variables(self) -> dict[str, str]:
        """What those of this process read: to be exported before any of them is imported."""
        found: dict[str, str] = {}
        for plan in self._plans.values():
            if plan.load is not None:
                found |= plan.variables(self._urls(plan))
        return found

    def begin(self, wanted: Iterable[str], override: Override) -> None:
        """A test begins that uses these services: they run, and so does what they need.

        Args:
            wanted: their names.
            override: replaces the dependencies of each app of this process.

        Raises:
            AppError: one does not start; nothing of it runs then.
        """
        self._running, self._override = set(), override
        self._use(wanted)

    def client(self, name: str) -> Any:
        """The running test's HTTP client of a service, which runs from now on if it did not. Raises `AppError`."""
        self._use([name])
        if self._plans[name].direct:
            return self._inner[name].client()
        from seatrial.apps.clients.client import of_address

        client = of_address(self._library(), "Client", self._edges[TEST, name].url, timeout=PATIENCE)
        self._clients.append(client)
        return client

    def restore(self) -> None:
        """The test's own fixtures are gone: clients are closed, overrides taken back."""
        with ExitStack() as all_of_it:
            for client in self._clients:
                all_of_it.callback(client.close)
            for name in self._running & set(self._inner):
                all_of_it.callback(self._inner[name].restore)
            self._clients = []
            self.settle()  # what a test has closed is no request that it has left running

    def settle(self) -> None:
        """Wait a moment for answers that their callers have, and that are not over for who gives them."""
        for edge in self._edges.values():
            if edge.answerer in self._running:
                edge.settle()

    def explain_failure(self, test: TestContext) -> None:
        """The running test has failed: show with it what each process has printed meanwhile."""
        for name in sorted(self._running & set(self._outer)):
            text = self._outer[name].log_tail(self._marks.get(name, 0))
            if text:
                test.log(f"log of the service {name}", text)

    def end(self) -> list[SeatrialError]:
        """The test is over; returns what it must be told: a process has ended meanwhile."""
        found: list[SeatrialError] = []
        for name in sorted(self._running & set(self._outer)):
            try:
                self._outer[name].check()
            except AppError as error:
                found.append(error)
        self._running = set()
        return found

    def close(self) -> None:
        """The run is over: apps and processes end, those that need others before these."""
        with ExitStack() as last_things:  # the last one registered comes first; an error of one keeps none from its end
            for edge in self._edges.values():
                last_things.callback(edge.close)
            for names in rounds(self._plans, self._needs):
                for name in names:
                    for running in (self._inner.pop(name, None), self._outer.pop(name, None)):
                        if running is not None:
                            last_things.callback(running.close)
            last_things.callback(self.restore)

    def _use(self, wanted: Iterable[str]) -> None:
        """The running test uses these, and what they need: it may ask for some in its midst."""
        new = needed(wanted, self._needs) - self._running
        if not new:
            return
        self._running |= new
        for edge in self._edges.values():
            if edge.answerer in new:
                edge.open()
        for names in rounds(new, self._needs):
            self._start(names)
        for name in new & set(self._outer):
            self._marks[name] = self._outer[name].log_size()
        for name in new & set(self._inner):
            app = self._inner[name]
            app.begin()
            self._override(name, app, self._plans[name].resources)

    def _start(self, names: Sequence[str]) -> None:
        """Have a round of them run: processes side by side, then the apps of this process, one after the other."""
        self._import(names)
        from concurrent.futures import ThreadPoolExecutor

        outer = [name for name in names if name in self._outer]
        with ThreadPoolExecutor(max(len(outer), 1)) as pool:
            for _ in pool.map(self._serve, outer):
                pass  # the first error is raised when all are through
        for name in names:
            if name in self._inner:
                self._inner[name].open()

    def _serve(self, name: str) -> None:
        if name in self._failures:
            raise self._failures[name]
        try:
            self._outer[name].serve()
        except AppError as error:
            self._failures[name] = error
            raise

    def _edge(self, caller: str, name: str) -> Edge:
        from seatrial.services.edge import Edge

        return Edge(caller, name, self._answer(caller, name))

    def _urls(self, plan: ServicePlan) -> dict[str, str]:
        return {name: self._edges[plan.name, name].url for name in plan.needs}

    def _import(self, names: Sequence[str]) -> None:
        """Import the apps of a round, one after the other, and make its processes."""
        for name in names:
            plan = self._plans[name]
            if plan.load is not None and name not in self._inner:
                self._inner[name] = plan.load()
            elif plan.process is not None and name not in self._outer:
                self._outer[name] = plan.process(plan.variables(self._urls(plan)))

    def _bridge(self, name: str) -> Callable[[ModuleType], Any]:
        def bridge(http: ModuleType) -> Any:
            if name not in self._inner:  # looked up late: the app is imported when a test needs it
                raise http.ConnectError(_absent(name))
            return self._inner[name].bridge(http)

        return bridge

    def _answer(self, caller: str, name: str) -> Callable[[Call], Reply]:
        def answer(call: Call) -> Reply:
            if self._plans[name].load is not None:
                with self._watch.on_behalf_of(caller):
                    return self._ask_inner(name, call)
            return self._ask_outer(caller, name, call)

        return answer

    def _ask_inner(self, name: str, call: Call) -> Reply:
        from seatrial.services.edge import Reply

        if name not in self._inner:
            raise ConnectionError(_absent(name))
        http: Any = self._library()
        request = http.Request(call.method, f"{self._edges[TEST, name].url}{call.target}", content=call.body)
        request.headers = http.Headers(list(call.headers))
        response = self._inner[name].bridge(http).handle_request(request)
        headers = [(key.decode("latin-1"), value.decode("latin-1")) for key, value in response.headers.raw]
        stream = response.stream
        return Reply(status=response.status_code, headers=headers, body=stream, leave=stream.close)

    def _ask_outer(self, caller: str, name: str, call: Call) -> Reply:
        from seatrial.services.edge import HOST
        from seatrial.services.forward import forward

        path, _, query = call.target.partition("?")
        seen = Seen(call.method, path, query)
        ticket = self._watch.opened(name, seen, caller)

        def over() -> None:
            seen.ends()
            if ticket is not None:
                self._watch.closed(ticket)

        try:
            reply = forward(HOST, self._outer[name].port if name in self._outer else 0, call)
        except OSError as error:
            seen.error = in_one_line(error)
            over()
            raise
        seen.starts(reply.status, reply.headers)

        def pieces() -> Iterable[bytes]:
            try:
                for piece in reply.body:
                    seen.keep(piece)
                    yield piece
                seen.completes()
            except OSError as error:
                seen.error = in_one_line(error)
                raise
            finally:
                over()

        return replace(reply, body=pieces())


def _as_it_is(name: str, app: App, resources: Iterable[str]) -> None:
    """Before the first test: replaces nothing."""
    del name, app, resources


def _absent(name: str) -> str:
    return f"{name} does not run in this test"
