"""What all else stands on, as one figure each: the ratio of two medians that were measured in turn, in one run.

    python benchmarks/gate.py [--quick] [--only POINT ...] [--json FILE]

The points: `rows` (seed rows given back again and again), `hints` (data checksums), `clones` (made in the background),
`pools` (of the app, without `pre_ping`), `roles` (and settings, under parallel workers). What must hold is checked
while it is measured: where it does not, the run ends with an error and no figure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

from _gate import copies
from _gate.figure import HEAD, Figure
from _gate.pools import pools
from _gate.servers import served
from _isolation import places

POINTS = ("rows", "hints", "clones", "pools", "roles")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds and small tables")
    parser.add_argument("--only", nargs="+", choices=POINTS, default=POINTS, metavar="POINT", help=", ".join(POINTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    return parser.parse_args()


def measure(asked: argparse.Namespace) -> list[Figure]:
    """The points that were asked for."""
    rounds, rows = (2, 2_000) if asked.quick else (40, 100_000)
    found = []
    if set(asked.only) - {"pools"}:
        with served() as endpoint:
            points = {
                "rows": lambda: copies.seed_rows(endpoint, rounds, rows),
                "hints": lambda: copies.hint_pages(endpoint, rounds, rows // 5),
                "clones": lambda: copies.background_clones(endpoint, max(1, rounds // 4)),
                "roles": lambda: copies.roles_and_settings(endpoint, rounds, 2 if asked.quick else 4),
            }
            found = [act() for name, act in points.items() if name in asked.only]
    if "pools" in asked.only:
        where = places.DISK if places.unfit(places.MEMORY) else places.MEMORY
        with places.place(where) as place:
            found.append(pools(place, max(2, rounds // 2)))
    return found


def main() -> None:
    asked = arguments()
    load = round(os.getloadavg()[0], 2)
    figures = measure(asked)
    print("\n".join([HEAD, *(figure.line() for figure in figures)]))
    print(f"\npython {platform.python_version()}, {platform.system()} {platform.machine()}, ", end="")
    print(f"{os.cpu_count()} cores, load at the start {load}")
    if asked.json:
        told = [{"point": one.point, "ratio": one.ratio, "times": dict(one.times)} for one in figures]
        asked.json.write_text(json.dumps({"load": load, "figures": told}, indent=1))


if __name__ == "__main__":
    main()
