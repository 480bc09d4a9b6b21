"""`seatrial doctor`: which servers would be used, why not others, and whether a test database really works."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from seatrial.cli import project
from seatrial.cli.checkup import Offer, Recorder, Trial, limits, offers, shown, trial
from seatrial.cli.output import Output
from seatrial.core import folders
from seatrial.core.redact import redact
from seatrial.errors import ProviderError

if TYPE_CHECKING:
    from seatrial.cli.detect.conftests import Pattern
    from seatrial.config.model import Config, ResourceConfig
    from seatrial.harness.plan import Plan

HELP = "check the configuration, and whether a test database really works"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may follow `seatrial doctor`."""
    project.arguments(parser)
    parser.add_argument("--no-start", action="store_true", help="only say what would be done; start nothing")


def run(args: argparse.Namespace, out: Output) -> int:
    """Say everything, then try it. Returns 1 if a test database can't be had."""
    config = project.configuration(args)
    try:
        return _examine(config, args, out)
    except ProviderError as error:  # nobody can serve a resource: its reasons are the answer that was asked for
        out.error(error)
        return 1


def _examine(config: Config, args: argparse.Namespace, out: Output) -> int:
    names = project.chosen(config, [])
    out.line(f"{config.source}: no mistakes", "bold")
    if config.app:
        out.line(f"  {'app':<10} {config.app}  ({config.origins.get('app', '')})")
    cache = folders.cache()
    out.line(f"  {'cache':<10} {cache.path}" + (f"  ({cache.reason})" if cache.reason else ""))
    recorder = Recorder()
    reports: list[dict[str, Any]] = []
    healthy = True
    with project.harness(config, recorder) as harness:
        for resource in config.resources:
            plan = harness.resources[resource.name].plan
            answers = offers(config, resource, plan)
            _show_plan(resource, plan, answers, out)
            tried = None
            if not args.no_start:
                with out.progress(f"trying {resource.name}"):
                    tried = trial(harness, resource.name, recorder)
                _show_trial(tried, out)
                healthy = healthy and tried.error is None
            reports.append(_report(resource, plan, answers, tried))
    found = _patterns(config)
    unseen = limits([resource.kind for resource in config.resources])
    _show_rest(found, unseen, out)
    out.value(
        {
            "configuration": str(config.source),
            "app": config.app,
            "cache": str(cache.path),
            "resources": reports,
            "patterns": [asdict(pattern) for pattern in found],
            "limits": unseen,
            "healthy": healthy if not args.no_start else None,
        }
    )
    if not args.no_start:
        told = (
            f"Test databases work for: {', '.join(names)}." if healthy else "Test databases don't work yet: see above."
        )
        out.line()
        out.line(told, "bold green" if healthy else "bold red")
    return 0 if healthy else 1


def _show_plan(resource: ResourceConfig, plan: Plan, answers: tuple[Offer, ...], out: Output) -> None:
    endpoint = plan.server.endpoint
    out.line()
    out.line(f"{resource.name}: {plan.kind.name} {endpoint.version} ({endpoint.provider})", "bold")
    for offer in answers:
        if offer.taken:
            out.line(f"  provider   {offer.provider}: used")
        else:
            out.line(f"             {offer.provider}: {offer.refusal or 'possible, too'}", "dim")
            if offer.change:
                out.line(f"               to use it: {offer.change}", "dim")
    for key, value in _facts(resource, plan).items():
        out.line(f"  {key:<10} {value}")


def _facts(resource: ResourceConfig, plan: Plan) -> dict[str, str]:
    facts = {"address": plan.address.url()}
    if resource.schema:
        facts["schema"] = ", ".join(resource.schema)
    if resource.seed:
        facts["seed"] = ", ".join(resource.seed)
    if resource.override:
        facts["override"] = resource.override
    facts["isolation"] = resource.isolation
    facts = {key: redact(value, *plan.secrets) for key, value in facts.items()}
    exported = [f"{name}={value}" for name, value in shown(plan.variables, plan.secrets).items()]
    return {**facts, "exports": ", ".join(exported) or "nothing"}


def _show_trial(tried: Trial, out: Output) -> None:
    if tried.reset:
        out.line(f"  {'reset by':<10} {tried.reset}")
    for grant in tried.grants:
        out.line(f"  {'':<10} faster with: {grant}")
    if tried.connections:
        out.line(f"  connections {tried.connections}")
    for step in tried.steps:
        out.line(f"  {step.what:<10} {step.seconds * 1000:8.1f} ms  {step.told}", "green")
    if tried.error is not None:
        out.line("  it failed:", "bold red")
        for line in str(tried.error).splitlines():
            out.line(f"    {line}", "red")


def _report(resource: ResourceConfig, plan: Plan, answers: tuple[Offer, ...], tried: Trial | None) -> dict[str, Any]:
    report: dict[str, Any] = {
        "resource": resource.name,
        "kind": plan.kind.name,
        "version": plan.server.endpoint.version,
        "provider": plan.server.endpoint.provider,
        "providers": [asdict(offer) for offer in answers],
        "isolation": resource.isolation,
        "exports": shown(plan.variables, plan.secrets),
        "trial": None,
    }
    if tried is not None:
        error = tried.error
        report["trial"] = {
            "works": error is None,
            "steps": [asdict(step) for step in tried.steps],
            "reset": tried.reset,
            "grants": list(tried.grants),
            "connections": tried.connections,
            "error": None if error is None else {"what": error.what, "cause": error.cause, "fix": error.fix},
        }
    return report


def _patterns(config: Config) -> tuple[Pattern, ...]:
    from seatrial.cli.detect.conftests import patterns
    from seatrial.cli.detect.project import look

    return patterns(look(config.root))


def _show_rest(found: tuple[Pattern, ...], unseen: list[str], out: Output) -> None:
    if found:
        out.line()
        out.line("Fixtures of this project that do by hand what Seatrial does:", "bold")
    for pattern in found:
        today = f" Today: {pattern.consequence}." if pattern.consequence else ""
        out.line(f"  {pattern.place} `{pattern.fixture}`: {pattern.name}.{today}")
        out.line(f"    {pattern.instead}", "dim")
    if unseen:
        out.line()
        out.line("What can't be seen from outside:", "bold")
    for limit in unseen:
        out.line(f"  {limit}", "dim")
