"""pytest-postgresql: the process that `postgresql_proc` starts is a server of ours; no pg_ctl is looked for."""

from __future__ import annotations

import secrets
from functools import partial
from types import ModuleType
from typing import Any

from seatrial.adapters.protocol import Lend, Loan, Wanted, WhenImported
from seatrial.adapters.replaced import Adapter, Replaced


def pytest_postgresql(lend: Lend, when_imported: WhenImported) -> Adapter:
    """The factories `postgresql_proc`, and all that is built on them; `postgresql_noproc` is as it was."""
    return Adapter(
        "pytest-postgresql: postgresql_proc is a server of ours",
        {"pytest_postgresql.factories.process": partial(_change, lend)},
        when_imported,
    )


def _change(lend: Lend, module: ModuleType, replaced: Replaced) -> None:
    from pytest_postgresql.executors.noop import NoopExecutor

    class Executor(NoopExecutor):
        """What the factory makes of its configuration; it runs from `start` to `stop`."""

        def __init__(self, **asked: Any) -> None:
            # The server of ours takes no one without a password; whoever reads it from the fixture is let in.
            password = asked["password"] or secrets.token_hex(8)
            super().__init__(
                "127.0.0.1", asked["port"], asked["user"], asked["options"] or "", asked["dbname"], password
            )
            self.datadir, self.logfile, self.unixsocketdir = asked["datadir"], asked["logfile"], asked["unixsocketdir"]
            self._loan: Loan | None = None

        def start(self) -> Executor:
            self._loan = lend(
                Wanted(
                    kind="postgres",
                    scheme="postgresql",
                    user=self.user,
                    password=self.password or "",
                    database=self.maintenance_dbname,
                )
            )
            self.host, self.port = self._loan.host, self._loan.port
            return self

        def running(self) -> bool:
            return self._loan is not None

        def stop(self, *_: Any, **__: Any) -> Executor:
            loan, self._loan = self._loan, None
            if loan is not None:
                loan.close()
            return self

        def wait_for_postgres(self) -> None:
            """It answered when it was lent."""

        def clean_directory(self) -> None:
            """It has none that anybody else knows."""

    replaced.set(module, PostgreSQLExecutor=Executor, _pg_exe=lambda executable, _: executable or "seatrial")
