"""The page of the docs that a run of the matrix writes, and its cells read again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .cells import DRIVERS, MODES, ROLES, Cell

PAGE = Path(__file__).parents[2] / "docs/support-matrix.md"
HEAD = """# Support matrix

Written by a test run (`make matrix`), not by hand: each cell is an app that updated, deleted and inserted rows,
committed, and found the baseline again, sequences included, twice. The word says how the copy got back there.

| word | means |
|---|---|
| log | what was written was found in the write-ahead log, and undone |
| scan | the log can't be read: the tables were looked at, and what differed was undone |
| clone | a fresh clone took the copy's place |
| rollback | one outer transaction was rolled back, and nothing had been committed beside it |
| refused | with the reason |

The roles: *superuser*; *GRANTs*, a role with LOGIN, CREATEDB and pg_signal_backend, and what `seatrial doctor` says
to grant (pg_read_server_files; from PostgreSQL 15 on SET ON PARAMETER session_replication_role, and pg_walinspect
created by a superuser in our database); *CREATEDB*, a role with LOGIN and CREATEDB and nothing else. All of them by
`url`, on a server that Seatrial did not start.
"""


def write(found: Mapping[str, Sequence[Cell]], missing: Mapping[str, str]) -> None:
    """All cells, by the server that they were found on; and the servers that were not there."""
    rows = [f"| PostgreSQL | role | mode | {' | '.join(DRIVERS)} |", f"|---|---|---|{'---|' * len(DRIVERS)}"]
    for server, cells in sorted(found.items(), key=lambda item: [int(n) for n in re.findall(r"\d+", item[0])[:1]]):
        paths = {(cell.role, cell.mode, cell.driver): cell.path for cell in cells}
        rows += [
            f"| {server} | {role} | {mode} | {' | '.join(paths[role, mode, driver] for driver in DRIVERS)} |"
            for role in ROLES
            for mode in MODES
        ]
    gaps = [f"- {server}: {reason}" for server, reason in missing.items()]
    PAGE.write_text("\n".join([HEAD, *rows, *(["", "Not run:", "", *gaps] if gaps else [])]) + "\n")


def read() -> dict[str, list[Cell]]:
    """The cells of the page, by their server."""
    found: dict[str, list[Cell]] = {}
    for line in PAGE.read_text().splitlines():
        parts = [part.strip() for part in line.strip("|").split("|")]
        if len(parts) == 3 + len(DRIVERS) and parts[1] in ROLES:
            server, role, mode, *paths = parts
            found.setdefault(server, []).extend(
                Cell(role=role, mode=mode, driver=driver, path=path)
                for driver, path in zip(DRIVERS, paths, strict=True)
            )
    return found
