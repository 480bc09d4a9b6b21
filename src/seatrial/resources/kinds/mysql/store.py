"""The templates and copies on one running MySQL or MariaDB server."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.core.folders import digest
from seatrial.errors import Refused, TemplateError
from seatrial.resources.kinds.mysql import blueprint, script
from seatrial.resources.kinds.mysql.connection import SESSION, Link, arguments, identifier, library, plain
from seatrial.resources.kinds.mysql.databases import OURS, Databases
from seatrial.resources.kinds.mysql.locks import Locks, run_lock
from seatrial.resources.kinds.mysql.reset import fence
from seatrial.resources.kinds.mysql.reset.copy import MySQLCopy, Source
from seatrial.resources.kinds.mysql.reset.log import Log
from seatrial.resources.kinds.mysql.reset.undo import Baseline, baseline
from seatrial.resources.kinds.mysql.sharing import shares
from seatrial.resources.kinds.mysql.sharing.pulse import NOTICE, Pulse
from seatrial.resources.protocol import Target

if TYPE_CHECKING:
    from seatrial.resources.protocol import Address, Endpoint, ServerSpec

_MOST_KEPT = 10
_MOST_TEMPLATES = 20
_LOCK_WAIT = "SET SESSION innodb_lock_wait_timeout = 3, lock_wait_timeout = 3"
_LOCALE = (
    "SELECT CONCAT_WS(' ', VERSION(), @@GLOBAL.character_set_server, @@GLOBAL.collation_server, @@GLOBAL.sql_mode)"
)


class MySQLStore:
    """The templates and copies on one running server. Implements `Store`.

    Args:
        endpoint: the server.
        spec: what was asked for: an address that outlives the run.
        address: the address of a copy, by its name.
    """

    def __init__(self, endpoint: Endpoint, spec: ServerSpec, address: Callable[[str], Address]) -> None:
        self._endpoint = endpoint
        self._spec = spec
        self._address = address
        self._run = secrets.token_hex(6)
        self._held: set[str] = set()
        self._link = Link(endpoint, [SESSION, _LOCK_WAIT, *(() if endpoint.owned else (NOTICE,))])
        self._locks = Locks(self._link)
        self._pulse = None if endpoint.owned else Pulse(self._link)
        self._budget = shares.budget(self._link, self._locks, endpoint, spec, self._run)
        self.connections = self._budget.describe
        """How many connections there are for all machines, and who has them, in words: for the doctor."""
        try:
            self._databases = self._opened()
            self._unlogged = self._link.always("SET SESSION sql_log_bin = 0")
            """Whether what we do ourselves is kept out of the log."""
            self._link.always("SET SESSION check_constraint_checks = 0")  # MariaDB's: a seed may break its own rules
            self._link.always("SET SESSION information_schema_stats_expiry = 0")  # MySQL shows those of a day ago
            log = Log(self._link)
            self.abilities = log.probe()
            """Whether our user may read the binary log, with the reason where not: for the doctor."""
            self._log = None if self.abilities.log else log
            self.locale = str(self._link.rows(_LOCALE)[0][0])
            self._link.keep()
            self._locks.take(run_lock(self._run))
            self._databases.sweep()
        except BaseException:
            self.close()
            raise

    def find(self, key: str) -> bool:
        """Whether a complete template with this key exists. It is then the last to be removed for its age."""
        found = self._databases.find(_template(key))
        if found is None or found.what != "template":
            return False
        self._databases.note(found.name, "template", key)
        return True

    def build(self, key: str, name: str, fill: Callable[[Target], None]) -> bool:
        """Make the template `key` at the address of the copy `name`; False if another process made it meanwhile."""
        self._hold(name)
        self._databases.building(key)
        try:
            if self.find(key):
                return False
            template = _template(key)
            self.vacant(name)
            try:
                fill(self._target(name))
                fence.settle(self._link, name)
                self._databases.drop(template)
                self._databases.note(template, "building", key)
                self._clone(name, template)
                self._databases.note(template, "template", key)
            except BaseException:
                self._databases.drop(template)
                raise
            finally:
                self._databases.drop(name)
        finally:
            self._databases.built(key)
        self._tidy()
        return True

    def checkout(self, key: str, name: str) -> MySQLCopy:
        """A fresh copy called `name`.

        Raises:
            Refused: the database `name` is not ours.
            IsolationError: another run that is still going on has a copy with this name.
            TemplateError: there is no such template.
        """
        if not self.find(key):
            raise TemplateError(
                f"there is no complete template for {name}",
                cause="somebody has removed it since this run built or found it, as `seatrial clean` does",
                fix="run it again",
            )
        self._hold(name)
        template = _template(key)
        base = baseline(self._link, template, blueprint.read(self._link, template))

        def make(which: Baseline) -> None:
            self._databases.drop(name)
            self._databases.note(name, "copy", key)
            blueprint.make(self._link, which.plan, which.database, name)

        make(base)
        return MySQLCopy(
            Source(
                address=self._address(name),
                link=self._link,
                log=self._log,
                unlogged=self._unlogged,
                trims=self._endpoint.owned,
                baseline=base,
                make=make,
                layer=lambda: self._layer(name),
                discard=lambda layer: self._databases.drop(layer.database),
            )
        )

    def keep(self, name: str, kept: str, *, forever: bool = False) -> Address:
        """The copy `name` becomes `kept`, with all that is in it, and outlives the run; `name` is free again.

        Only the ten newest stay, besides those that are kept `forever`.
        """
        self._move(name, kept, "lasting" if forever else "kept")
        for old in self._databases.all("what = 'kept'")[_MOST_KEPT:]:
            self._databases.drop(old.name)
        return replace(self._address(kept), database=kept)

    def stay(self, name: str) -> Address:
        """The copy `name` outlives the run, and stays where it is; whoever wants its name sets it aside meanwhile."""
        fence.settle(self._link, name)
        self._databases.note(name, "lasting")
        return self._address(name)

    def bring_back(self, name: str) -> bool:
        """What a run has set aside is called `name` again, if that is free; whether what stays is there now."""
        if self._databases.find(name) is None and self._lasts(_aside(name)) and self._locks.take(f"copy {name}"):
            self._move(_aside(name), name, "lasting")
            self._locks.give_back(f"copy {name}")
        return self._lasts(name)

    def vacant(self, name: str) -> None:
        """An empty database called `name`. Raises `Refused` where there is one that is not ours."""
        self._hold(name)
        self._databases.drop(name)
        self._databases.note(name, "building")
        self._link.run(f"CREATE DATABASE {identifier(name)}")

    def drop(self, name: str) -> None:
        """Remove the copy `name`, whoever is still connected to it. Raises `Refused` where it is not ours."""
        self._databases.refuse_strangers(name)
        self._databases.drop(name)
        self._held.discard(name)
        if self._spec.at is not None:
            self.bring_back(name)

    def forget(self, key: str) -> bool:
        """Remove the template `key`; False, and nothing done, if there are copies of it."""
        if any(one.template == key for one in self._databases.all("what = 'copy'")):
            return False
        self._databases.drop(_template(key))
        return True

    def close(self) -> None:
        """Close our connection, and with it give back our locks, and our share."""
        if self._pulse is not None:
            self._pulse.end()
        self._link.close()

    def _opened(self) -> Databases:
        pymysql = library()
        try:
            databases = Databases(self._link, self._locks, self._endpoint, self._run)
        except pymysql.OperationalError as error:
            admin = self._endpoint.admin
            raise Refused(
                f'the user "{admin.user}" may not create databases at {admin.host}:{admin.port}',
                cause=f"{error.args[-1]}; copies are created beside the database of `url`, which is never written to",
                fix=f"GRANT ALL PRIVILEGES ON *.* TO {identifier(admin.user)}; on a server for tests",
            ) from error
        try:
            fence.at_work(self._link, OURS)
        except pymysql.OperationalError as error:
            admin = self._endpoint.admin
            raise Refused(
                f'the user "{admin.user}" may not see who is in a transaction at {admin.host}:{admin.port}',
                cause=f"{error.args[-1]}; a test that left one open would reach into the next",
                fix=f"GRANT PROCESS ON *.* TO {identifier(admin.user)};",
            ) from error
        return databases

    def _hold(self, name: str) -> None:
        """The name is ours as long as this store is open; what stays there makes room until it is dropped."""
        if name in self._held:
            return
        self._databases.refuse_strangers(name)
        self._budget.take()
        self._databases.hold(name)
        self._held.add(name)
        if self._lasts(name):
            self._move(name, _aside(name), "lasting")

    def _lasts(self, name: str) -> bool:
        found = self._databases.find(name)
        return found is not None and found.what == "lasting"

    def _move(self, name: str, target: str, what: str) -> None:
        """All that is in `name` is in `target` from now on. Whenever this is interrupted, one of them is whole."""
        self._databases.refuse_strangers(target)
        self._databases.drop(target)
        fence.settle(self._link, name)
        self._databases.note(target, "building")
        self._clone(name, target)
        self._databases.note(target, what)
        self._databases.note(name, "building")
        self._databases.drop(name)

    def _target(self, name: str) -> Target:
        address = self._address(name)
        pymysql = library()

        def execute(text: str) -> None:
            many = pymysql.constants.CLIENT.MULTI_STATEMENTS
            with pymysql.connect(**arguments(address), autocommit=True, client_flag=many) as connection:
                script.run(connection, text)

        return Target(address=address, execute=execute, connect=lambda: plain(address))

    def _clone(self, source: str, target: str) -> None:
        blueprint.make(self._link, blueprint.read(self._link, source), source, target)

    def _layer(self, name: str) -> Baseline:
        layer = f"{blueprint.LAYER}{secrets.token_hex(6)}"
        self._databases.note(layer, "layer")
        try:
            self._clone(name, layer)
        except BaseException:
            self._databases.drop(layer)
            raise
        return baseline(self._link, layer, blueprint.read(self._link, layer))

    def _tidy(self) -> None:
        """Remove templates that nobody has used for long, beyond the newest."""
        used = {one.template for one in self._databases.all("what = 'copy'")}
        for old in self._databases.all("what = 'template'")[_MOST_TEMPLATES:]:
            if old.template not in used:
                self._databases.drop(old.name)


def _aside(name: str) -> str:
    """The database that a lasting one called `name` becomes while a run needs that name."""
    return f"{blueprint.ASIDE}{digest(name, 16)}"


def _template(key: str) -> str:
    return f"{blueprint.TEMPLATE}{digest(key, 16)}"
