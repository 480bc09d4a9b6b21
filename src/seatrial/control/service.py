"""What the endpoints do: workers, copies and templates of one project, for as long as somebody wants them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import cast

from seatrial import __version__, events
from seatrial.apps.observe.seen import in_one_line
from seatrial.config.model import Config
from seatrial.control.api import messages
from seatrial.control.api.problems import RequestError
from seatrial.control.leases.door import Door
from seatrial.control.leases.lane import Lane
from seatrial.control.leases.lease import Lease, Patience
from seatrial.control.leases.shelf import Shelf, Taken
from seatrial.control.leases.templates import Templates
from seatrial.control.leases.worker import Worker, database_suffix, in_words
from seatrial.errors import SeatrialError
from seatrial.harness.compose import compose
from seatrial.harness.environment import variables
from seatrial.harness.harness import Harness
from seatrial.harness.plan import Plan
from seatrial.harness.run import Run
from seatrial.resources.protocol import Address

_SWEEP = 0.1
"""Seconds between two looks at what nobody holds any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the command line sets."""

    patience: Patience = field(default_factory=Patience)
    copies: int = 32
    """Of one resource that can be out at once, besides those of workers."""
    wait: float = 30.0
    """Seconds that a request waits for a copy."""
    idle: float = 60.0
    """Seconds without a lease and without a request, after which the server ends."""


class Service:
    """One project, served. Lives in one event loop; what blocks runs in lanes.

    Args:
        config: the project's.
        limits: what the command line sets.
        say: tells people what concerns no test, once; called in any thread.
        open_door: makes a socket of its own for a worker, if there can be one.
    """

    def __init__(
        self,
        config: Config,
        limits: Limits,
        say: Callable[[str], None],
        open_door: Callable[[Worker], Door | None] = lambda _: None,
    ) -> None:
        self.limits = limits
        self.stopping = asyncio.Event()
        self._open_door = open_door
        self._say = say
        self._said: set[str] = set()
        self._config = config
        self._run = replace(Run.new(config.root), worker="base")
        self._base = compose(config, self._run, emit=self._hear, served=True)
        ports = {name: managed.plan.server.endpoint.admin.port for name, managed in self._base.resources.items()}
        self._run = replace(self._run, ports=ports)
        self._lane = Lane("base")
        self._numbers = itertools.count(1)
        self._workers: dict[str, tuple[Worker, asyncio.Task[messages.Worker]]] = {}
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._shelves: dict[str, Shelf] = {}
        self._taken: dict[str, Taken] = {}
        self._templates = Templates(self._name_template, self._lease)
        self._keys: dict[str, str] = {}
        self._busy = 0
        self._last = time.monotonic()
        self._base.open()

    @contextmanager
    def request(self) -> Iterator[None]:
        """A request is under way, or a connection is held: the server is not idle."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._last = time.monotonic()

    def health(self) -> messages.Health:
        """It answers."""
        return messages.Health(status="ok", version=__version__)

    def resources(self) -> messages.Resources:
        """What is configured."""
        found = {}
        for name, managed in self._base.resources.items():
            plan, endpoint = managed.plan, managed.plan.server.endpoint
            found[name] = messages.Resource(
                kind=plan.kind.name,
                isolation=cast("messages.Configured", plan.isolation),
                variables=tuple(plan.variables),
                version=endpoint.version,
                provider=endpoint.provider,
            )
        return messages.Resources(root=str(self._config.root), resources=found)

    def log(self, resource: str, since: int) -> messages.Log:
        """The end of a server's log."""
        server = self._plan(resource).server
        size = server.log_size()
        return messages.Log(text=server.log_tail(since) if size > since else "", size=size)

    async def open_worker(self, name: str) -> messages.Worker:
        """Have the worker's copies; asked again while they come up, the answer is the same (but for its layers)."""
        found = self._workers.get(name)
        if found is None:
            self._refuse_shared_address(name)
            worker = Worker(name, lambda emit: self._compose(name, emit), self._lease(), self._open_door)
            found = self._workers[name] = worker, asyncio.ensure_future(self._bring_up(worker))
        worker, opening = found
        with worker.lease.used():
            return replace(await asyncio.shield(opening), layers=worker.layers)

    async def close_worker(self, name: str) -> None:
        """Drop its copies, and what was taken in its name."""
        await self._drop_worker(self.worker(name))

    def worker(self, name: str) -> Worker:
        """The worker of that name, open or opening."""
        if name not in self._workers:
            raise RequestError(404, f"there is no worker {name}", fix="POST /v1/workers opens it")
        return self._workers[name][0]

    async def open_clone(self, request: messages.CloneRequest) -> messages.Clone:
        """A copy of the configured template."""
        plan = self._plan(request.resource)
        self._check_worker(request.worker)
        if plan.name not in self._keys:
            await self._build()
        taken = await self._take(await self._shelf(plan.name), self._keys[plan.name], worker=request.worker)
        address = taken.copy.address
        return messages.Clone(id=taken.id, resource=plan.name, url=address.url(), env=variables(plan.env, address))

    async def open_template(self, request: messages.TemplateRequest) -> messages.Template:
        """Find it or begin it."""
        return (await self.begin_template(request.hash, request.resource))[0]

    async def begin_template(self, hash_: str, resource: str = "") -> tuple[messages.Template, Address | None]:
        """The same, and the address of the database that the caller is to fill, if he is."""
        return await self._templates.open(hash_, await self._shelf(resource))

    async def finalize(self, hash_: str) -> messages.Template:
        """It is filled."""
        return await self._templates.finalize(hash_)

    async def discard(self, hash_: str) -> None:
        """Give it up; copies that are out go with it."""
        for taken in [one for one in self._taken.values() if one.hash == hash_]:
            await self.put_back(taken.id)
        await self._templates.discard(hash_, await self._shelf(""))

    async def open_copy(self, hash_: str, worker: str = "", wait: float | None = None) -> Taken:
        """A copy of a template by hash, once that is finalized; waits at most `wait` seconds for one to come back."""
        self._check_worker(worker)
        shelf, key = await self._templates.await_ready(hash_, await self._shelf(""), self.limits.wait)
        return await self._take(shelf, key, hash_=hash_, worker=worker, wait=wait)

    async def in_use(self, id_: str) -> bool:
        """Whether somebody is connected to a copy."""
        taken = self.taken(id_)
        return await self._shelves[taken.resource].in_use(taken)

    async def reset(self, id_: str) -> messages.Undone:
        """Undo what was written to a copy."""
        taken = self.taken(id_)
        with taken.lease.used():
            return await self._shelves[taken.resource].reset(taken)

    async def keep(self, id_: str) -> messages.Kept:
        """Set a copy aside. Where its kind can't do that, its holder still has it."""
        shelf = self._shelves[self.taken(id_).resource]
        await shelf.require_keep()
        taken = self.taken(id_)  # somebody else may have been faster
        del self._taken[id_]
        return messages.Kept(url=await shelf.keep(taken))

    async def put_back(self, id_: str) -> messages.Undone:
        """Check a copy in."""
        taken = self.taken(id_)
        del self._taken[id_]
        return await self._shelves[taken.resource].put_back(taken)

    def taken(self, id_: str) -> Taken:
        """The copy or clone of that number."""
        if id_ not in self._taken:
            raise RequestError(
                404, f"there is no copy {id_}", cause="it was checked in already, or its time was over", fix="take one"
            )
        return self._taken[id_]

    async def run(self) -> None:
        """Drop what nobody holds any more, until the server is to stop: because somebody said so, or it is idle."""
        while not self.stopping.is_set():
            await self._sweep()
            if self._idle():
                self.stopping.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), _SWEEP)

    async def close(self) -> None:
        """Drop every copy, and let go of the servers."""
        workers = [worker for worker, _ in self._workers.values()]
        self._taken.clear()
        try:
            await asyncio.gather(*(self._drop_worker(worker) for worker in workers), return_exceptions=True)
            await asyncio.gather(*self._closing.values(), return_exceptions=True)
            try:
                await self._templates.close()
            finally:
                await asyncio.gather(*(shelf.close() for shelf in self._shelves.values()), return_exceptions=True)
        finally:
            await self._lane.run(self._base.close)
            self._lane.close()

    async def _sweep(self) -> None:
        for name, (worker, opening) in list(self._workers.items()):
            if opening.done() and worker.lease.over() and name in self._workers:
                with self._going_on(f"worker {name} could not be closed"):
                    await self._drop_worker(worker)
        for taken in list(self._taken.values()):
            if taken.lease.over() and taken.id in self._taken:
                with self._going_on(f"copy {taken.id} of {taken.resource} could not be put back"):
                    await self.put_back(taken.id)
        with self._going_on("a template that nobody finished could not be discarded"):
            await self._templates.sweep()

    @contextmanager
    def _going_on(self, trouble: str) -> Iterator[None]:
        """Whatever fails there, the server goes on, for those who have something of it. What nobody expects is told."""
        try:
            yield
        except SeatrialError:
            pass  # the resource's server may be gone, and the copies with it; or the copy was dropped then
        except Exception as error:  # noqa: BLE001 - a driver's, or the machine's
            self._tell(f"{trouble}: {in_one_line(error)}")

    def _idle(self) -> bool:
        if self._busy or self._workers or self._taken or self._templates.in_the_making:
            return False
        return time.monotonic() - self._last > self.limits.idle

    def _refuse_shared_address(self, name: str) -> None:
        fixed = next((resource.name for resource in self._config.resources if resource.at), None)
        if fixed is None or not self._workers:
            return
        raise RequestError(
            409,
            f"worker {name} can't have {fixed} at its fixed address (`at`): worker {next(iter(self._workers))} has it",
            cause="only one worker can hold an address, and any test may connect to it",
            fix="run the tests with one worker (`vitest --maxWorkers=1`, `jest --runInBand`), "
            "or remove `at` and let the app read the exported URL",
        )

    async def _bring_up(self, worker: Worker) -> messages.Worker:
        try:
            if worker.name in self._closing:  # one of the same name still has the same copies
                await asyncio.wait([self._closing[worker.name]])
            await self._build()
            return await worker.open()
        except BaseException:
            if self._workers.get(worker.name, (None,))[0] is worker:
                del self._workers[worker.name]
            await worker.close()
            raise

    async def _build(self) -> None:
        """Have every template: always under the same address, which is what a module of the project reads once."""
        self._keys = await self._lane.run(self._base.build)

    async def _drop_worker(self, worker: Worker) -> None:
        self._workers.pop(worker.name, None)
        closing = self._closing[worker.name] = asyncio.ensure_future(self._close_worker(worker))
        try:
            await asyncio.shield(closing)
        finally:
            if closing.done() and self._closing.get(worker.name) is closing:
                del self._closing[worker.name]

    async def _close_worker(self, worker: Worker) -> None:
        for taken in [one for one in self._taken.values() if one.worker == worker.name]:
            with self._going_on(f"copy {taken.id} of {taken.resource} could not be put back"):
                await self.put_back(taken.id)
        await worker.close()

    async def _take(
        self, shelf: Shelf, key: str, *, hash_: str = "", worker: str = "", wait: float | None = None
    ) -> Taken:
        number = str(next(self._numbers))
        name, copy = await shelf.take(key, number, self.limits.wait if wait is None else wait)
        taken = Taken(
            id=number,
            resource=shelf.plan.name,
            key=key,
            name=name,
            copy=copy,
            lease=self._workers[worker][0].lease if worker in self._workers else self._lease(),
            hash=hash_,
            worker=worker,
        )
        self._taken[number] = taken
        return taken

    async def _shelf(self, resource: str) -> Shelf:
        """The shelf of a resource, whose server runs; of the first where none is named."""
        plan = self._plan(resource or next(iter(self._base.resources), ""))
        if not plan.server.alive():
            await self._lane.run(self._base.resources[plan.name].supply.serve)
        if plan.name not in self._shelves:
            self._shelves[plan.name] = Shelf(
                plan,
                name=lambda number: replace(self._run, worker=f"c{number}").copy_name(plan.name),
                most=self.limits.copies,
            )
        return self._shelves[plan.name]

    def _plan(self, resource: str) -> Plan:
        if resource not in self._base.resources:
            known = ", ".join(self._base.resources)
            raise RequestError(
                404,
                f'there is no resource "{resource[:40]}"',
                fix=f"the resources are: {known}" if known else "add a table [resources.db] to the configuration",
            )
        return self._base.resources[resource].plan

    def _check_worker(self, name: str) -> None:
        if name:
            self.worker(name)

    def _compose(self, worker: str, emit: events.Emit) -> Harness:
        return compose(self._config, replace(self._run, worker=database_suffix(worker)), emit=emit, served=True)

    def _hear(self, event: events.Event) -> None:
        for text in in_words(event):
            self._tell(text)

    def _tell(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)

    def _lease(self) -> Lease:
        return Lease(self.limits.patience)

    def _name_template(self, resource: str) -> str:
        return replace(self._run, worker=f"t{next(self._numbers)}").copy_name(resource)
