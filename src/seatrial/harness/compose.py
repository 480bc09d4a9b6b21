"""From a configuration to the classes that carry it out: the only module that names them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from types import ModuleType
from typing import TYPE_CHECKING, Any

from seatrial import events
from seatrial.config.model import used_elsewhere
from seatrial.errors import ConfigError
from seatrial.harness.asked.checks import Checks, Description
from seatrial.harness.asked.watch import Watch
from seatrial.harness.changes import fast_hashing, patches_of
from seatrial.harness.environment import variables
from seatrial.harness.harness import APP, Harness
from seatrial.harness.loans import Loans
from seatrial.harness.plan import Plan
from seatrial.harness.services import ServicePlan, Services
from seatrial.outbound.guard import Guard
from seatrial.patches.shortcuts import Shortcuts
from seatrial.patches.statements import SeenStatements
from seatrial.patches.when_imported import WhenImported
from seatrial.resources import registry
from seatrial.resources.protocol import (
    Address,
    Copy,
    Kind,
    Migrator,
    Requirements,
    Server,
    Serverless,
    ServerSpec,
    SupportsAudit,
)
from seatrial.resources.resolve import resolve
from seatrial.resources.serverless import NoServer
from seatrial.sessions.connections.known import Engines
from seatrial.sessions.detours import Detours
from seatrial.sessions.pools import Pools

if TYPE_CHECKING:
    from seatrial.adapters.replaced import Adapter
    from seatrial.apps.inprocess import InProcess
    from seatrial.apps.process import Process
    from seatrial.config.model import Config, ResourceConfig, ServiceConfig
    from seatrial.harness.run import Run
    from seatrial.isolation.audit import Audit
    from seatrial.isolation.choose import Chooser
    from seatrial.isolation.protocol import Strategy
    from seatrial.sessions.protocol import Sessions

_ASYNC_DRIVER = re.compile(r"\+(asyncpg|aiosqlite|psycopg_async|asyncmy|aiomysql)\b")


def compose(
    config: Config,
    run: Run,
    *,
    keep: bool = False,
    audit: bool = False,
    emit: events.Emit = events.ignore,
    served: bool = False,
) -> Harness:
    """The harness of one process of a run. Fixes addresses and reserves ports; starts nothing, imports nothing.

    Args:
        config: what the project wants.
        run: which run this is, and which of its workers.
        keep: whether the copies of failed tests are kept.
        audit: whether every copy is compared with its baseline after each test.
        emit: who is told what happened.
        served: whether tests and app run in other processes: there is then no app here, no session and no patch.

    Raises:
        ConfigError, ProviderError: for what can't be had, before anything has started.
    """
    pools, detours, engines = Pools(), Detours(), Engines()
    led = partial(_sessions, config, pools=pools, detours=detours, engines=engines)
    plans = [_plan(config, resource, run, pools, led, emit, audit=audit) for resource in config.resources]
    if served:
        return Harness([replace(plan, sessions=_remote, override=None) for plan in plans], load_app=None, emit=emit)
    watch = Watch({plan.address.database: plan.name for plan in plans}, emit)
    checks = Checks(partial(_describe, required="openapi" in config.strict), config.strict, emit)
    allowed = (*config.allow_hosts, *(plan.address.host for plan in plans if plan.address.host))
    patches = [
        *patches_of({plan.name: plan.address for plan in plans}, pools, detours, engines),
        *(fast_hashing(while_testing=lambda: harness.in_test) if config.fast_password_hashing else ()),
        SeenStatements(watch.statement, config.root),
        Guard(checks.beyond, allowed),
    ]
    loans = Loans(config)
    patches += _adapters(config, loans)
    load_app = partial(_load_app, config, watch, APP, config.app) if config.app else None
    services = Services([_service(config, each, plans, watch) for each in config.services], watch, _http)
    if services.bridges:
        patches.append(Shortcuts(services.bridges))
    harness = Harness(
        plans, load_app=load_app, watch=watch, checks=checks, loans=loans, services=services, patches=patches,
        keep=keep, emit=emit,
    )  # fmt: skip
    return harness


def _adapters(config: Config, loans: Loans) -> list[Adapter]:
    if not config.adapt:
        return []
    from seatrial.adapters.pytest_databases import pytest_databases
    from seatrial.adapters.pytest_postgresql import pytest_postgresql
    from seatrial.adapters.testcontainers import testcontainers

    known = {
        "testcontainers": testcontainers,
        "pytest-postgresql": pytest_postgresql,
        "pytest-databases": pytest_databases,
    }
    return [known[name](loans.lend, WhenImported) for name in dict.fromkeys(config.adapt)]


def describe(config: Config, resource: ResourceConfig) -> tuple[Kind, ServerSpec]:
    """The kind of a resource, and the server that it wants."""
    kind = registry.kind(resource.kind)
    requirements = Requirements(
        project=config.root,
        version=resource.version,
        extensions=resource.extensions,
        durable=resource.durable,
        url=resource.url,
        at=resource.at,
        idle=config.idle,
        options=resource.options,
    )
    return kind, kind.spec(requirements)


def _plan(
    config: Config,
    resource: ResourceConfig,
    run: Run,
    pools: Pools,
    led: Callable[..., Sessions],
    emit: events.Emit,
    *,
    audit: bool,
) -> Plan:
    kind, spec = describe(config, resource)
    server = _server(kind, spec, resource, run)
    name = run.copy_name(resource.name)
    address = kind.copy_address(server.endpoint, spec, name, resource.role)
    env = resource.env or {kind.env: "{url}"}
    if address.host:
        pools.watch(address)
    elsewhere = used_elsewhere(config.services, resource.name)
    return Plan(
        name=resource.name,
        kind=kind,
        spec=spec,
        server=server,
        # Where there is a server, a copy is called as its database is: at a fixed address that is not ours to choose.
        copy_name=address.database if address.host else name,
        address=address,
        isolation=resource.isolation,
        role=resource.role,
        early=resource.start == "early",
        recycle=resource.recycle,
        override=partial(_dependency, config, resource) if resource.override else None,
        migrators=partial(_migrators, config, resource, kind, address.scheme, env, run, emit),
        strategies=partial(_strategies, resource),
        sessions=partial(led, resource, kind),
        held=partial(pools.held, address),
        chooser=partial(_chooser, config, resource),
        audit=partial(_audit, config, resource, kind, server, address, run, emit) if audit else None,
        env=env,
        variables={} if elsewhere else variables(env, address),
        elsewhere=variables(env, address) if elsewhere else {},
    )


def _server(kind: Kind, spec: ServerSpec, resource: ResourceConfig, run: Run) -> Server:
    if isinstance(kind, Serverless):
        return NoServer(kind.endpoint(spec))
    provider = resolve(spec, name=resource.provider).provider
    return provider.reserve(spec, run.ports.get(resource.name, 0))


def _migrators(
    config: Config,
    resource: ResourceConfig,
    kind: Kind,
    scheme: str,
    env: Mapping[str, str],
    run: Run,
    emit: events.Emit,
) -> Sequence[Migrator]:
    from seatrial.migrators.choose import Setting, steps

    setting = Setting(
        root=config.root,
        scheme=scheme,
        drivers=kind.drivers,
        inputs=resource.inputs,
        run=run.id,
        variables=partial(variables, env),
        note=lambda text: emit(events.Note(resource=resource.name, text=text)),
    )
    return steps(resource.schema, resource.seed, setting)


def _strategies(resource: ResourceConfig, copy: Copy, own: Callable[[], Sequence[int]]) -> Mapping[str, Strategy]:
    from seatrial.isolation.clone import CloneStrategy
    from seatrial.isolation.reset import ResetStrategy
    from seatrial.isolation.rollback import RollbackStrategy

    rollback = RollbackStrategy(copy, resource=resource.name, own=own)
    return {"reset": ResetStrategy(copy), "clone": CloneStrategy(copy), "rollback": rollback}


def _chooser(config: Config, resource: ResourceConfig) -> Chooser:
    from seatrial.core import folders
    from seatrial.isolation.choose import Chooser
    from seatrial.isolation.history import History

    project = folders.digest(str(config.root), 16)
    return Chooser(History(folders.room("history") / f"{project}-{resource.name}.json"))


def _audit(
    config: Config, resource: ResourceConfig, kind: Kind, server: Server, address: Address, run: Run, emit: events.Emit
) -> Audit | None:
    from seatrial.isolation.audit import Audit

    if not isinstance(kind, SupportsAudit):
        emit(events.Note(resource=resource.name, text=f"it is not audited: {kind.name} has no reading of its own"))
        return None
    # Workers share a server, and so may resources of one kind: its roles are this copy's only where it is alone.
    alone = not run.shared and [each.kind for each in config.resources].count(resource.kind) == 1
    return Audit(resource.name, kind.auditor(server.endpoint, address, alone=alone))


def _sessions(
    config: Config,
    resource: ResourceConfig,
    kind: Kind,
    copy: Copy,
    *,
    pools: Pools,
    detours: Detours,
    engines: Engines,
) -> Sessions:
    from seatrial.sessions.choose import open_sessions

    return open_sessions(
        copy,
        kind.drivers,
        _dependency(config, resource) if resource.override else None,
        uses_sqlalchemy=any(_is_sqlalchemy(step) for step in resource.schema),
        is_async=any(_ASYNC_DRIVER.search(template) for template in resource.env.values()),
        pools=pools,
        detours=detours,
        engines=engines,
    )


def _remote(copy: Copy) -> Sessions:
    from seatrial.sessions.remote import RemoteSessions

    return RemoteSessions(copy)


def _is_sqlalchemy(step: str) -> bool:
    """Whether a step of `schema` says that the project uses SQLAlchemy: metadata, or Alembic."""
    return step.endswith(".ini") or (":" in step and "/" not in step and " " not in step)


def _dependency(config: Config, resource: ResourceConfig) -> Callable[..., Any]:
    from seatrial.core.importing import import_object

    found: Callable[..., Any] = import_object(resource.override, config.root)
    if not callable(found):
        raise ConfigError(
            f'override = "{resource.override}" can\'t be called: it is of the type {type(found).__name__}',
            cause="`override` names a dependency of the app: a function that yields or returns a session",
            fix="name that function; where the app has none, remove `override`: its engines and pools lead to the "
            "test's database by the exported URL",
        )
    return found


def _describe(target: Any, *, required: bool) -> Description | None:
    """The app's description of itself, where there is one and there is something to check it with."""
    from importlib.util import find_spec

    if not required and find_spec("jsonschema_rs") is None:
        return None
    from seatrial.contracts.found import descriptions_of
    from seatrial.contracts.openapi import OpenApis

    found = descriptions_of(target)
    return OpenApis(found) if found else None


def _service(config: Config, service: ServiceConfig, plans: Sequence[Plan], watch: Watch) -> ServicePlan:
    own = {name: text for plan in plans if plan.name in service.resources for name, text in plan.elsewhere.items()}
    outside = service.run == "process"
    return ServicePlan(
        name=service.name,
        needs=service.needs,
        resources=service.resources or tuple(plan.name for plan in plans),
        variables=lambda urls: own | service.variables(urls),
        load=None if outside else partial(_load_app, config, watch, service.name, service.app),
        process=partial(_process, config, service, tuple(chain.from_iterable(one.secrets for one in plans)))
        if outside
        else None,
        direct=service.run == "inline",
    )


def _http() -> ModuleType:
    from seatrial.apps.clients.transport import library

    return library()


def _process(config: Config, service: ServiceConfig, secrets: tuple[str, ...], variables: Mapping[str, str]) -> Process:
    from seatrial.apps.process import Command, Process

    command = Command(
        argv=service.cmd,
        folder=config.root,
        env=variables,
        ready=service.ready,
        seconds=service.patience,
        secrets=secrets,
    )
    return Process(f"the service {service.name}", command)


def _load_app(config: Config, watch: Watch, name: str, reference: str) -> InProcess:
    from seatrial.apps.inprocess import InProcess
    from seatrial.apps.load import interface_of, load_app

    target = load_app(reference, config.root)
    interface = interface_of(target)
    assert interface is not None, "load_app returns applications only"
    return InProcess(target, interface, witness=watch.witness(name))
