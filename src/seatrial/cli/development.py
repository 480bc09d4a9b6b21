"""A development database: a copy of the template that is kept from one `up` or `shell` to the next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seatrial.config.model import Config
    from seatrial.harness.plan import Plan
    from seatrial.resources.protocol import Address, Store, SupportsStay
    from seatrial.resources.supervisor.client import Status


def development(plan: Plan) -> tuple[Address | None, bool]:
    """The address of `NAME_dev`, and whether it was made now. None where this kind can keep no copy.

    Where the configuration fixes an address (`at`) it is that one, if the kind can have a copy stay there. Its server
    must run.
    """
    from seatrial.resources.protocol import SupportsKeep, SupportsStay

    kept = f"{plan.name}_dev"
    named = plan.kind.copy_address(plan.server.endpoint, replace(plan.spec, at=None), kept, plan.role)
    address = replace(plan.address, database=named.database)
    assert plan.spec.program is not None, "only kinds with a server come here"
    there = not plan.spec.exclusive and plan.spec.program.answers(replace(plan.server.endpoint, admin=address))
    if there and plan.spec.at is None:
        return address, False
    store = plan.kind.open(plan.server.endpoint, plan.spec, plan.role)
    try:
        if plan.spec.at is not None and isinstance(store, SupportsStay):
            return _staying(plan, store)
        if there:
            return address, False
        if not (plan.spec.exclusive or isinstance(store, SupportsKeep)):
            return None, False
        _check_out(plan, store)
        if isinstance(store, SupportsKeep) and not plan.spec.exclusive:
            return store.keep(plan.copy_name, kept, forever=True), True
        return plan.address, True
    finally:
        store.close()


def held(config: Config) -> dict[str, Status]:
    """The servers of the project that an earlier `up` holds, by resource."""
    from seatrial.resources.supervisor.client import instances

    found = [status for status in instances(config.root) if status.pinned]
    return {str(status.instance.about().get("development", "")): status for status in found}


def _staying(plan: Plan, store: SupportsStay) -> tuple[Address, bool]:
    if store.bring_back(plan.copy_name):
        return plan.address, False
    _check_out(plan, store)
    return store.stay(plan.copy_name), True


def _check_out(plan: Plan, store: Store) -> None:
    """A fresh copy of the template, under the name that a test run would give it."""
    from seatrial.isolation.template import ensure

    key, _ = ensure(store, plan.migrators(), plan.copy_name, plan.name)
    store.checkout(key, plan.copy_name).close()
