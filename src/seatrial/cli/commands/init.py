"""`seatrial init`: look at a project, write its configuration, and say what was taken and why."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from seatrial.cli.output import Output
from seatrial.cli.proposal.decide import RESOURCE, Proposal
from seatrial.errors import ConfigError

HELP = "look at this project and write its configuration"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may follow `seatrial init`."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="the project's root (default: here)")
    parser.add_argument("--dry-run", action="store_true", help="show what would be written, and write nothing")


def run(args: argparse.Namespace, out: Output) -> int:
    """Write `[tool.seatrial]` to pyproject.toml, or a seatrial.toml where there is none."""
    from seatrial.cli.detect.project import look
    from seatrial.cli.proposal.decide import decide
    from seatrial.cli.proposal.write import target, text, write

    root = args.folder.absolute()
    if not root.is_dir():
        raise ConfigError(f"{root} is no folder", fix="run `seatrial init` in the project's root, or name it")
    file = target(root)
    with out.progress("reading the project"):
        proposal = decide(look(root))
    tables = text(proposal, file)
    if not args.dry_run:
        write(file, tables)
    out.value(_machine(proposal, file, tables, written=not args.dry_run))
    _show(proposal, file, tables, out, written=not args.dry_run)
    return 0


def _machine(proposal: Proposal, file: Path, tables: str, *, written: bool) -> dict[str, Any]:
    return {
        "file": str(file),
        "written": written,
        "text": tables,
        "values": [
            {"key": entry.key, "value": entry.value, "from": entry.place, "why": entry.why}
            for entry in proposal.entries
        ],
        "others": {
            key: [{"value": one.value, "from": one.place, "why": one.why} for one in candidates]
            for key, candidates in proposal.others.items()
        },
        "missing": list(proposal.missing),
        "notes": [{"about": note.place, "text": note.text} for note in proposal.notes],
        "replaced": [
            {
                "fixture": one.fixture,
                "from": one.place,
                "pattern": one.name,
                "today": one.consequence,
                "do": one.instead,
            }
            for one in proposal.replaced
        ],
    }


def _show(proposal: Proposal, file: Path, tables: str, out: Output, *, written: bool) -> None:
    out.line(f"{'Written to' if written else 'Would be written to'} {file}:", "bold")
    out.line()
    for line in tables.rstrip("\n").splitlines():
        out.line(f"    {line}" if line else "", "cyan")
    out.line()
    out.line("Why:", "bold")
    for entry in proposal.entries:
        out.line(f"  {_short(entry.key):<9} {entry.place or '-'}: {entry.why}")
        for other in proposal.others.get(entry.key, ()):
            out.line(f"  {'':<9}   not taken: {other.value} ({other.place}: {other.why})", "dim")
    for key in proposal.missing:
        out.line(
            f"  {_short(key):<9} nothing was found: fill it in, or leave it out where the project has none", "yellow"
        )
    if proposal.notes:
        out.line()
        out.line("Note:", "bold")
    for note in proposal.notes:
        out.line(f"  {note.place}: {note.text}")
    if proposal.replaced:
        out.line()
        out.line("Fixtures that do by hand what Seatrial does:", "bold")
    for pattern in proposal.replaced:
        today = f" Today: {pattern.consequence}." if pattern.consequence else ""
        out.line(f"  {pattern.place} `{pattern.fixture}`: {pattern.name}.{today}")
        out.line(f"    {pattern.instead}", "dim")
    out.line()
    then = "run pytest"
    if proposal.javascript:
        then = (
            "write plugins: [seatrial()] in vitest.config.ts, with `seatrial` from '@seatrial/vitest'; without Vitest "
            "there are preset: '@seatrial/vitest/jest' for Jest, '@seatrial/vitest/node-test', and "
            "'@seatrial/vitest/core'"
        )
    out.line(f"Next: `seatrial doctor` checks whether a test database works; then {then}.")


def _short(key: str) -> str:
    """A key as its evidence names it: those of the first resource without its name."""
    _, _, rest = key.partition("resources.")
    return key if not rest else rest.removeprefix(f"{RESOURCE}.")
