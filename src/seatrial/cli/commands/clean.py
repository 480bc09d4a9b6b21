"""`seatrial clean`: what Seatrial keeps from run to run, deleted by age and size."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from seatrial.cli.numbers import amount
from seatrial.cli.output import Output

if TYPE_CHECKING:
    from seatrial.resources.kept import Kept

HELP = "delete what is kept from run to run, by age and size"
_DAY, _MB = 86400, 2**20


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may follow `seatrial clean`."""
    parser.add_argument(
        "--older-than", type=amount, default=14, metavar="DAYS", help="unused for so long (default: 14)"
    )
    parser.add_argument(
        "--larger-than", type=amount, default=1024, metavar="MB", help="and the least used beyond this (default: 1024)"
    )
    parser.add_argument("--all", action="store_true", help="everything that is not in use")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")


def run(args: argparse.Namespace, out: Output) -> int:
    """Delete servers that do not run, with their data, and templates, the least recently used first."""
    from seatrial.core import folders
    from seatrial.resources import kept

    cache = folders.cache()
    store = cache.path
    everything = kept.everything(store)
    going = everything if args.all else kept.surplus(everything, args.older_than * _DAY, args.larger_than * _MB)
    gone = [one for one in going if args.dry_run or kept.delete(one, store)]
    left = sum(one.size for one in everything) - sum(one.size for one in gone)
    for one in gone:
        out.line(f"{_size(one.size):>10}  unused for {_age(one.age):<8}  {one.what}")
    verb = "would be deleted" if args.dry_run else "deleted"
    out.line(f"{len(gone)} {verb}, {_size(sum(one.size for one in gone))}; {_size(left)} stay in {store}", "bold")
    if cache.reason:
        out.line(f"({cache.reason})", "dim")
    if len(gone) < len(going):
        out.line(f"{len(going) - len(gone)} are in use and stay.", "dim")
    out.value(
        {
            "cache": str(store),
            "dry_run": args.dry_run,
            "deleted": [_report(one) for one in gone],
            "in_use": len(going) - len(gone),
            "left_bytes": left,
        }
    )
    return 0


def _report(one: Kept) -> dict[str, object]:
    return {"what": one.what, "path": str(one.path), "bytes": one.size, "unused_seconds": round(one.age)}


def _size(count: int) -> str:
    return f"{count / _MB:.1f} MB"


def _age(seconds: float) -> str:
    return f"{seconds / _DAY:.0f} d" if seconds >= _DAY else f"{seconds / 3600:.0f} h"
