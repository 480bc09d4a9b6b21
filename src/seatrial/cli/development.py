"""A development database: a copy of the template that is kept from one `up` or `shell` to the next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seatrial.harness.plan import Plan
    from seatrial.resources.protocol import Address


def development(plan: Plan) -> tuple[Address | None, bool]:
    """The address of `NAME_dev`, and whether it was made now. None where this kind can keep no copy.

    Its server must run.
    """
    from seatrial.isolation.template import ensure
    from seatrial.resources.protocol import SupportsKeep

    kept = f"{plan.name}_dev"
    address = replace(plan.address, database=kept)
    assert plan.spec.program is not None, "only kinds with a server come here"
    if plan.spec.exclusive:
        store = plan.kind.open(plan.server.endpoint, plan.spec, plan.role)
        try:
            key, _ = ensure(store, plan.migrators(), plan.copy_name)
            store.checkout(key, plan.copy_name).close()
        finally:
            store.close()
        return plan.address, True
    if plan.spec.program.answers(replace(plan.server.endpoint, admin=address)):
        return address, False
    store = plan.kind.open(plan.server.endpoint, plan.spec, plan.role)
    try:
        if not isinstance(store, SupportsKeep):
            return None, False
        key, _ = ensure(store, plan.migrators(), plan.copy_name)
        store.checkout(key, plan.copy_name).close()
        store.keep(plan.copy_name, kept, forever=True)
        return address, True
    finally:
        store.close()
