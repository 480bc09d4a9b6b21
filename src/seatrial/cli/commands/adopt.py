"""`seatrial adopt`: mark a database that we did not make, on confirmation, as one that may be used and lost."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.cli.output import Output
from seatrial.core.redact import redact
from seatrial.errors import ConfigError, Refused

if TYPE_CHECKING:
    from seatrial.resources.protocol import ServerSpec, SupportsAdopt

HELP = "mark a database of yours as one that tests may overwrite"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may follow `seatrial adopt`."""
    parser.add_argument(
        "url", metavar="URL", help="postgresql://USER:PASSWORD@HOST:PORT/DATABASE, mysql://..., redis://HOST:PORT"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace, out: Output) -> int:
    """Say what is in it and what may happen to it, ask, and write our marker. Changes nothing else."""
    from seatrial.resources.providers.url import Url

    kind, spec = _kind(args.url)
    server = Url().reserve(spec)
    with out.progress("looking at it"):
        server.start()
        candidate = kind.adoption_candidate(server.endpoint)
    report = {"what": candidate.what, "holds": candidate.holds, "means": candidate.means}
    if candidate.ours:
        out.line(f"{candidate.what} already has Seatrial's mark.")
        out.value({**report, "adopted": False})
        return 0
    out.line(f"{candidate.what} holds {candidate.holds or 'nothing'}.", "bold")
    out.line(f"Once it is adopted, {candidate.means}.")
    if not args.yes and not _confirmed(out):
        raise Refused(
            f"{candidate.what} was not adopted",
            cause="nobody confirmed it; nothing was touched",
            fix="answer `yes`, or run it with --yes",
        )
    candidate.mark()
    out.line("It has Seatrial's mark now, and may be used.")
    out.value({**report, "adopted": True})
    return 0


def _kind(url: str) -> tuple[SupportsAdopt, ServerSpec]:
    """The first kind whose URLs look like this one."""
    from seatrial.resources import registry
    from seatrial.resources.protocol import Requirements, SupportsAdopt

    scheme = url.partition("://")[0].partition("+")[0].lower()
    known: list[str] = []
    for name in registry.kinds():
        kind = registry.kind(name)
        if not isinstance(kind, SupportsAdopt):
            continue
        spec = kind.spec(Requirements(project=Path(), url=url))
        own = spec.url_schemes or ((spec.program.admin(0, "").scheme,) if spec.program is not None else ())
        if scheme in own:
            return kind, spec
        known += own
    raise ConfigError(
        redact(f"nothing can be adopted at {url}"),
        cause=f"the URLs of what can be begin with {', '.join(sorted(set(known)))}",
        fix="give its whole URL, as in: seatrial adopt postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
    )


def _confirmed(out: Output) -> bool:
    if out.as_json or not sys.stdin.isatty():
        return False
    try:
        return input("Adopt it? Type `yes`: ").strip() == "yes"
    except EOFError:
        return False
