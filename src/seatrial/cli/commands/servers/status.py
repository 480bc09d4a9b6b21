"""`seatrial status`: the servers of ours that run on this machine."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.cli.output import Output

if TYPE_CHECKING:
    from seatrial.resources.supervisor.client import Status

HELP = "list the servers that run"
_COLUMNS = ("PROJECT", "KIND", "VERSION", "PROVIDER", "PID", "PORT", "HELD BY", "UP FOR")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may follow `seatrial status`."""
    parser.add_argument("--all", action="store_true", help="also servers that do not run, with their folders")


def run(args: argparse.Namespace, out: Output) -> int:
    """List them: project, kind, version, provider, process id, port, holders, uptime."""
    from seatrial.resources.supervisor.client import instances

    found = [status for status in instances() if args.all or status.running]
    rows = [_row(status) for status in found]
    out.value(rows)
    if not rows:
        out.line("No server of ours runs.")
        return 0
    lines = [_COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    for number, line in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        out.line(text, "bold" if number == 0 else "")
        if number and args.all:
            out.line(f"  {rows[number - 1]['folder']}", "dim")
    return 0


def _row(status: Status) -> dict[str, Any]:
    return {
        "project": status.project,
        "kind": status.kind,
        "version": status.version,
        "provider": status.provider,
        "running": status.running,
        "pid": status.pid,
        "port": status.port,
        "holders": status.holders,
        "held_by_up": status.pinned,
        "seconds": _seconds(status.instance.folder / "state.json") if status.running else None,
        "folder": str(status.instance.folder),
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    holders = [f"{row['holders']} {'process' if row['holders'] == 1 else 'processes'}"] if row["holders"] else []
    held = " and ".join([*holders, *(["`up`"] if row["held_by_up"] else [])]) or "nobody"
    running = row["running"]
    return (
        row["project"],
        row["kind"],
        row["version"],
        row["provider"],
        str(row["pid"]) if running else "-",
        str(row["port"]),
        held if running else "-",
        duration(row["seconds"]) if row["seconds"] is not None else "-",
    )


def _seconds(state: Path) -> float | None:
    """Since when a server runs: its supervisor writes this file when it has started it."""
    try:
        return max(time.time() - state.stat().st_mtime, 0.0)
    except OSError:
        return None


def duration(seconds: float) -> str:
    """A time as people say it: "12 s", "5 min", "3 h 20 min"."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"
