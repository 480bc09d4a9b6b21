"""What would be used for a resource, from where, and whether it works: the facts that `seatrial doctor` prints."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from seatrial.core.redact import redact
from seatrial.errors import SeatrialError
from seatrial.events import CheckedIn, Event, ServerReady, TemplateReady

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from seatrial.config.model import Config, ResourceConfig
    from seatrial.harness.harness import Harness
    from seatrial.harness.plan import Plan
    from seatrial.resources.protocol import ServerSpec

_URL = "url"
"""The provider that is never asked by itself."""
SCANS = 5
"""Tests by which the cost of a scan is measured."""
_POSTGRES, _MYSQL = ("postgres",), ("mysql", "mariadb")
_OPEN = "connections that stay open: in other processes, or kept by a test in no pool"
_ELSEWHERE = f"temporary tables stay in {_OPEN}"
_LIMITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        f"Settings, LISTENs, advisory locks and {_ELSEWHERE}": _POSTGRES,
        f"Settings, user locks and {_ELSEWHERE}": _MYSQL,
        f"A sequence with CACHE > 1 goes on counting in {_OPEN}": _POSTGRES,
        "After a test whose database was replaced by a clone, other processes must open new connections": (),
        "The order of rows without ORDER BY may change after rows were restored": (*_POSTGRES, *_MYSQL, "sqlite"),
        "Roles are only restored where a superuser reads the write-ahead log, and its wal_level is not minimal; a test "
        "that changes tablespaces fails": _POSTGRES,
        "ALTER SYSTEM goes unnoticed": _POSTGRES,
        "A late write on another connection that lands within the next test looks like that test's": (),
    }
)
"""What a reset can't see, with the kinds that it is true of: all, where none is named."""


def limits(kinds: Collection[str]) -> list[str]:
    """What can't be seen from outside in a project with these kinds."""
    return [limit for limit, of in _LIMITS.items() if kinds and (not of or set(of) & set(kinds))]


"""What no reset of a database can see or mend; the documentation tells each at length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One provider's answer: `refusal` is empty where it could serve."""

    provider: str
    refusal: str
    taken: bool
    change: str
    """What to type so that this one is taken; empty where it could not serve whatever one types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the trial, with its time and what it says about itself."""

    what: str
    seconds: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Whether a test database was had. `error` is the reason where not."""

    steps: tuple[Step, ...]
    reset: str
    """How committed changes are found and undone here, and why."""
    grants: tuple[str, ...] = ()
    """Statements that would make it faster."""
    connections: str = ""
    """How many connections there are, and who has them, where several machines may share the server."""
    error: SeatrialError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """How a store undoes committed changes, and whether it has to look at all tables for that."""

    how: str = ""
    grants: tuple[str, ...] = ()
    scans: bool = False
    connections: str = ""


@runtime_checkable
class Abilities(Protocol):
    """What a store tells about its role's rights: an empty text where it may, the reason where it may not."""

    log: str
    replica: str
    log_name: str
    """What the log of this server is called."""

    def grants(self, role: str) -> Sequence[str]:
        """Statements that would give the role what it lacks."""
        ...


@runtime_checkable
class Budgeted(Protocol):
    """A store on a server whose connections are shared out."""

    connections: Callable[[], str]


@dataclass(slots=True)
class Recorder:
    """Listens to one trial."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Remember an event."""
        self.events.append(event)

    def of(self, resource: str) -> Iterator[Event]:
        """The events of one resource, in their order."""
        return (event for event in self.events if event.resource == resource)


@dataclass(slots=True)
class TrialTest:
    """The one test of a trial: to the harness it is like any other."""

    __test__: ClassVar[bool] = False
    id: str = "seatrial doctor"
    failed: bool = False
    logs: dict[str, str] = field(default_factory=dict)

    def add_cleanup(self, cleanup: Callable[[], None]) -> None:
        """Nothing outlives this test: it is called at once."""
        cleanup()

    def log(self, title: str, text: str) -> None:
        """Remember what a server said."""
        self.logs[title] = text


def offers(config: Config, resource: ResourceConfig, plan: Plan) -> tuple[Offer, ...]:
    """What each provider says to the resource. Starts nothing."""
    from seatrial.resources import registry

    spec, taken = plan.spec, plan.server.endpoint.provider
    if spec.program is None:
        return ()
    no_url = _refusal_of_url(config, resource, spec)
    found = []
    for name in registry.providers():
        try:
            refusal = registry.provider(name).probe(spec) or ""
        except SeatrialError as error:
            refusal = error.what
        if name == _URL:
            change = "" if no_url else f"SEATRIAL_{resource.name.upper()}_URL={spec.url_form}"
            refusal = no_url or refusal
        else:
            change = "" if refusal else _change(name, resource.name, in_place=bool(spec.url))
        found.append(
            Offer(provider=name, refusal=redact(refusal), taken=name == taken, change="" if name == taken else change)
        )
    return tuple(found)


def _refusal_of_url(config: Config, resource: ResourceConfig, spec: ServerSpec) -> str:
    """Why the resource can have no `url`; empty where it can."""
    from seatrial.harness.compose import describe

    if not spec.url_form:
        return f"a {spec.kind} resource takes no `url`"
    try:
        describe(config, replace(resource, url=spec.url_form.replace("PORT", "1"), at="", provider=""))
    except SeatrialError as error:
        return error.what
    return ""


def _change(provider: str, resource: str, *, in_place: bool) -> str:
    where = f"[resources.{resource}]" + (" in place of `url`" if in_place else "")
    return f'provider = "{provider}" in {where}, or SEATRIAL_{resource.upper()}_PROVIDER={provider}'


def trial(harness: Harness, name: str, recorder: Recorder) -> Trial:
    """Start the server, find or build the template, check out a copy, give it back at its baseline."""
    managed = harness.resources[name]
    reset = Reset()
    scan: tuple[Step, ...] = ()
    try:
        harness.start([name])
        if managed.failure is not None:
            raise managed.failure
        reset = _reset(managed.plan)
        _one_test(harness, name)
        steps = _steps(recorder, name)
        if reset.scans:
            scan = (_scan(harness, name, recorder),)
    except SeatrialError as error:
        steps = _steps(recorder, name)
        return Trial(steps=steps, reset=reset.how, grants=reset.grants, connections=reset.connections, error=error)
    return Trial(steps=steps + scan, reset=reset.how, grants=reset.grants, connections=reset.connections)


def _one_test(harness: Harness, name: str) -> None:
    """A test that writes nothing. Raises what it is told at its end."""
    harness.begin(TrialTest(), {name: "reset"}, [name])
    complaints = harness.end(last=True)
    if complaints:
        raise complaints[0]


def _scan(harness: Harness, name: str, recorder: Recorder) -> Step:
    """What looking at all tables costs here, with this project's seed data: the median of some tests."""
    first = len(recorder.events)
    for _ in range(SCANS):
        _one_test(harness, name)
    spent = [event.milliseconds / 1000 for event in recorder.events[first:] if isinstance(event, CheckedIn)]
    told = "after each test, also one that only reads: every table and sequence is looked at"
    return Step(what="scan", seconds=statistics.median(spent), told=told)


def _steps(recorder: Recorder, name: str) -> tuple[Step, ...]:
    return tuple(step for event in recorder.of(name) if (step := _step(event)) is not None)


def _step(event: Event) -> Step | None:
    match event:
        case ServerReady():
            told = "it ran already" if event.attached else "started"
            return Step(what="server", seconds=event.seconds, told=f"{event.kind} {event.version}, {told}")
        case TemplateReady():
            told = "built" if event.built else "found in the cache"
            return Step(what="template", seconds=event.seconds, told=f"{event.key[:12]}, {told}, and copied")
        case CheckedIn():
            told = {"nothing": "nothing was written, nothing to undo"}.get(event.path, f"undone by {event.path}")
            return Step(what="reset", seconds=event.milliseconds / 1000, told=told)
        case _:
            return None


def _reset(plan: Plan) -> Reset:
    """How this store would undo committed changes; empty where it says nothing about that."""
    if plan.spec.program is None:
        return Reset()  # no server, no rights; and one process may open such a store only once
    store = plan.kind.open(plan.server.endpoint, plan.spec, plan.role)
    try:
        abilities = getattr(store, "abilities", None)
        if not isinstance(abilities, Abilities):
            return Reset()
        how = f"reading the {abilities.log_name}, which says what a test wrote; only that is undone"
        if abilities.log:
            how = f"comparing every table, which takes longer the more seed data there is: {abilities.log}"
        if abilities.replica:
            how += f"; triggers and circles of foreign keys take a clone: {abilities.replica}"
        grants = tuple(abilities.grants(plan.server.endpoint.admin.user))
        connections = store.connections() if isinstance(store, Budgeted) else ""
        return Reset(how=how, grants=grants, scans=bool(abilities.log), connections=connections)
    finally:
        store.close()


def shown(variables: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """Variables as they may be printed: without `secrets`, and without what their names say is one."""
    return {name: redact(f"{name}={value}", *secrets).removeprefix(f"{name}=") for name, value in variables.items()}
