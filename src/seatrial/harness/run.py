"""Which run this is, and which of its workers: what the names of copies are made of."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "SEATRIAL_RUN"
"""How the process that starts the workers tells them which run they belong to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of tests, seen from one of its processes."""

    id: str
    root: Path
    worker: str = "main"
    ports: Mapping[str, int] = field(default_factory=dict)
    """Ports that the first process of the run has reserved, by resource; empty in that process itself."""

    @property
    def shared(self) -> bool:
        """Whether it has other workers, on the same servers."""
        return self.worker != "main"

    @classmethod
    def new(cls, root: Path) -> Run:
        """A run of this process's own."""
        return cls(id=secrets.token_hex(3), root=root)

    @classmethod
    def joined(cls, root: Path, worker: str) -> Run | None:
        """The run that another process began in the same project, or None.

        The root is compared because a test may start a run of its own, of another project, and that run
        inherits the environment.
        """
        try:
            told = json.loads(os.environ[VARIABLE])
            if told["root"] != str(root):
                return None
            return cls(id=told["id"], root=root, worker=worker, ports=told["ports"])
        except (KeyError, ValueError, TypeError):
            return None

    def announcement(self, ports: Mapping[str, int]) -> str:
        """The value of `VARIABLE` for the workers of this run."""
        return json.dumps({"id": self.id, "root": str(self.root), "ports": dict(ports)})

    def copy_name(self, resource: str) -> str:
        """The name of this worker's copy of a resource: unique among all runs on one server."""
        return f"{resource}_{self.id}_{self.worker}"
