"""`seatrial up`: start the servers, hold them until `down`, and have a development database on each."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seatrial.cli import project
from seatrial.cli.development import development, held
from seatrial.cli.output import Output

if TYPE_CHECKING:
    from seatrial.harness.plan import Plan
    from seatrial.resources.protocol import Address

HELP = "start the servers and hold them until `down`"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may follow `seatrial up`."""
    project.arguments(parser)
    parser.add_argument("names", nargs="*", metavar="NAME", help="resources (default: all)")


def run(args: argparse.Namespace, out: Output) -> int:
    """Start, pin, and print the URL of `NAME_dev`: a copy of the template that is kept from one `up` to the next."""
    config = project.configuration(args)
    told: list[dict[str, Any]] = []
    with project.harness(config) as harness:
        pinned = held(config)
        for name in project.chosen(config, args.names):
            plan = harness.resources[name].plan
            if plan.spec.program is None:
                told.append({"resource": name, "server": None, "url": None})
                out.line(f"{name}: {plan.kind.name} has no server, there is nothing to hold up")
                continue
            one = pinned.get(name) if plan.spec.exclusive else None
            with out.progress(f"starting {name}"):
                if one is not None:
                    ran, kept, fresh = True, True, False
                    address: Address | None = replace(plan.address, port=one.port)
                else:
                    ran = plan.server.start()
                    address, fresh = development(plan)
                    kept = _pin(plan)
            told.append(
                {"resource": name, "ran": ran, "held": kept, "url": address.url() if address else None, "new": fresh}
            )
            _show(plan, address, out, kept=kept, fresh=fresh)
    out.value(told)
    return 0


def _show(plan: Plan, address: Address | None, out: Output, *, kept: bool, fresh: bool) -> None:
    endpoint = plan.server.endpoint
    port = address.port if address is not None else endpoint.admin.port
    where = f"{endpoint.kind} {endpoint.version} ({endpoint.provider}) on port {port}"
    out.line(
        f"{plan.name}: {where}" + (", held until `seatrial down`" if kept else ", which is not ours to hold"), "bold"
    )
    if address is not None:
        out.line(f"  {address.url()}")
        out.line("  new, with schema and seed" if fresh else "  as you left it", "dim")


def _pin(plan: Plan) -> bool:
    """Keep the server up without a holder; False for one that we did not start."""
    from seatrial.resources.providers.local import LocalServer
    from seatrial.resources.supervisor.client import pin

    if not isinstance(plan.server, LocalServer):
        return False
    instance = plan.server.instance
    instance.describe({**instance.about(), "development": plan.name})
    return pin(instance, up=True)
