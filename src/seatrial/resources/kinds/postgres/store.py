"""The templates and copies on one running PostgreSQL server."""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from seatrial.errors import TemplateError
from seatrial.resources.kinds.postgres.abilities import probe
from seatrial.resources.kinds.postgres.connection import NOTICE, Link
from seatrial.resources.kinds.postgres.databases import Databases, Found
from seatrial.resources.kinds.postgres.locale import chosen
from seatrial.resources.kinds.postgres.naming import Marker, aside_name, lock_number, reference_name, template_name
from seatrial.resources.kinds.postgres.reset.copy import PostgresCopy
from seatrial.resources.kinds.postgres.reset.fence import PATIENCE
from seatrial.resources.kinds.postgres.reset.source import Source
from seatrial.resources.kinds.postgres.reset.spares import Spares
from seatrial.resources.kinds.postgres.roles import made, ours
from seatrial.resources.kinds.postgres.roles.apps import AppRole
from seatrial.resources.kinds.postgres.shared.leftovers import Leftovers
from seatrial.resources.kinds.postgres.sharing import shares
from seatrial.resources.kinds.postgres.sharing.leases import Leases
from seatrial.resources.kinds.postgres.templates import layers, sealing
from seatrial.resources.kinds.postgres.templates.templates import Templates
from seatrial.resources.kinds.postgres.templates.upkeep import Upkeep
from seatrial.resources.protocol import Address, Target
from seatrial.resources.sharing.taken import taken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from seatrial.resources.protocol import Endpoint, ServerSpec

LOCALE = """
select concat_ws(' ', current_setting('server_version'), datcollate, datctype, pg_encoding_to_char(encoding),
  case when current_setting('is_superuser') = 'off' then current_user end)
from pg_database where datname = 'template1'
"""  # only a superuser may copy what another role has made
REFERENCE: Mapping[str, str] = {
    **NOTICE,
    "default_transaction_read_only": "on",
    "plan_cache_mode": "force_generic_plan",
}
MOST_KEPT = 10
READER: Mapping[str, str] = {"synchronous_commit": "on", "statement_timeout": "60s"}


class PostgresStore:
    """The templates and copies on one running server. Implements `Store`.

    Args:
        endpoint: the server.
        spec: what was asked for: extensions that each database gets.
        address: the address of a copy, by its name.
        owner: the role that migrators run as, and that owns the copies.
        role: the role that the app connects as, where it is another one; empty where not.
        run: names this run in the markers of its copies; a random one by default.
        patience: seconds that connections get to finish what they do before the fence ends them.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        spec: ServerSpec,
        *,
        address: Callable[[str], Address],
        owner: Address,
        role: str = "",
        run: str = "",
        patience: float = PATIENCE,
    ) -> None:
        self.run = run or secrets.token_hex(6)
        self._endpoint = endpoint
        self._spec = spec
        self._address = address
        self._owner = owner
        self._patience = patience
        self._admin = Link(endpoint, ours.database(endpoint), NOTICE)
        self._databases = Databases(self._admin, endpoint, owner.user if endpoint.owned else "")
        self._leases = Leases(self._admin, self._databases, owned=endpoint.owned)
        self._upkeep = Upkeep(self._admin, self._databases, partial(self._leases.sweep, self.run))
        self._role = AppRole(self._admin, role, owner, owned=endpoint.owned)
        self._budget = shares.budget(self._admin, endpoint, spec)
        self.connections = self._budget.describe
        """How many connections there are for all machines, and who has them, in words: for the doctor."""
        self._locale = chosen.read(spec.data)
        self._references: dict[str, Link] = {}
        self._copies: dict[str, PostgresCopy] = {}
        self._spares: dict[str, Spares] = {}
        self._layers: dict[str, str] = {}
        """The keys of layers, and the copies that they lie on: what is made of them ends with this run."""
        self._held: set[str] = set()
        self._reader = Link(endpoint, ours.database(endpoint), READER)
        try:
            ours.prepare(self._admin, endpoint, owner)
            self.abilities = probe(self._admin, self._reader)
            """What our role may do here, with a reason for what it may not: for the doctor."""
            self._leases.take(f"run {self.run}")
            self.locale = " ".join(
                [self._admin.rows(LOCALE)[0][0], owner.user, *sorted(spec.extensions), spec.data.get("locale", "")]
            )
            able = endpoint.owned and not self.abilities.log and self.abilities.homes
            self._leftovers = Leftovers(self._admin, self._reader, self.run, able=able)
            self._templates = self._templates_here()
            self._leases.sweep(self.run)
            self._leftovers.clear(self._leases.lives)
            self._upkeep.clean()
        except BaseException:
            self.close()
            raise

    def find(self, key: str) -> bool:
        """Whether a complete template with this key exists. It is then in use until `close`."""
        self._upkeep.hold(key)
        found = self._templates.find(key)
        if found is not None:
            self._upkeep.note(template_name(key), found)
        return found is not None

    def build(self, key: str, name: str, fill: Callable[[Target], None]) -> bool:
        """Make the template `key` at the address of the copy `name`; False if another process made it meanwhile.

        Raises:
            TemplateError: an extension could not be created, or whatever `fill` raises; nothing is left.
            Refused: the database `name` is not ours.
        """
        self._hold(name)
        self._admin.run(f"SELECT pg_advisory_lock({lock_number('template ' + key)})")
        try:
            if self.find(key):
                return False
            while not self._templates.make(key, name, fill):
                pass
        finally:
            self._admin.run(f"SELECT pg_advisory_unlock({lock_number('template ' + key)})")
        self._upkeep.clean()
        return True

    def checkout(self, key: str, name: str) -> PostgresCopy:
        """A fresh copy called `name`.

        Raises:
            Refused: the database `name` is not ours.
            IsolationError: another run that is still going on has a copy with this name.
            TemplateError: there is no such template.
        """
        template = self._templates.find(key)
        if template is None:
            raise TemplateError(
                f"there is no complete template for {name}",
                cause="somebody has removed it since this run built or found it, as `seatrial clean` does",
                fix="run it again",
            )
        self._hold(name)
        self._role.ensure()
        self._forget(name)
        copy = self._copies[name] = PostgresCopy(self._source(key, name, template.horizon))
        return copy

    def keep(self, name: str, kept: str, *, forever: bool = False) -> Address:
        """The copy `name` becomes `kept`, with all that is in it, and outlives the run; `name` is free again.

        Only the ten newest stay, besides those that are kept `forever`.

        Raises:
            Refused: the database `kept` is not ours.
            IsolationError: what was done in it to the whole server can't be put back; it is not kept.
        """
        if name in self._copies:
            self._databases.release(name)
            self._copies[name].part()  # it stays ours: where layers lie on it, it goes on in another database
        self._leftovers.kept(name)
        self._databases.drop(kept)
        what = "lasting" if forever else "kept"
        self._databases.claim(name, Marker(what=what, run=self.run, since=self._upkeep.now()))
        self._databases.rename(name, kept)
        for old in self._databases.of("kept")[MOST_KEPT:]:
            self._databases.drop(old.name)
        return replace(self._address(kept), database=kept)

    def stay(self, name: str) -> Address:
        """The copy `name` outlives the run, and stays where it is; whoever wants its name sets it aside meanwhile."""
        self._forget(name)
        self._leftovers.kept(name)
        self._databases.claim(name, Marker(what="lasting", run=self.run, since=self._upkeep.now()))
        return self._address(name)

    def bring_back(self, name: str) -> bool:
        """What a run has set aside is called `name` again, if that is free; whether what stays is there now."""
        if self._databases.find(name) is None and self._databases.find(aside_name(name)) is not None:
            self._databases.rename(aside_name(name), name)
        return _lasts(self._databases.find(name))

    def vacant(self, name: str) -> None:
        """An empty database called `name`.

        Raises:
            Refused: the database `name` is not ours.
        """
        self._hold(name)
        self._databases.drop(name)
        self._databases.create(name, Marker(what="building", run=self.run), locale=self._locale)

    def drop(self, name: str) -> None:
        """Remove the copy `name`, whoever is still connected to it."""
        leaves = name in self._copies and self._copies[name].leaves()
        self._forget(name)
        self._databases.drop(name)
        for layer in [key for key, copy in self._layers.items() if copy == name]:
            self._discard(layer)
        if not leaves:
            self._leftovers.dropped(name)
        self._held.discard(name)
        if self._spec.at is not None:
            self.bring_back(name)

    def forget(self, key: str) -> bool:
        """Remove the template `key`; False, and nothing done, if somebody uses it."""
        self._let_go(key)
        return self._upkeep.forget(key)

    def close(self) -> None:
        """Close our connections. Copies and layers that were not dropped are swept by the next run."""
        for copy in self._copies.values():
            copy.close()
        for spares in self._spares.values():
            spares.close()
        for link in (*self._references.values(), self._reader, self._admin):
            link.close()

    def _templates_here(self) -> Templates:
        return Templates(
            self._endpoint,
            self._spec,
            admin=self._admin,
            databases=self._databases,
            upkeep=self._upkeep,
            owner=self._owner,
            role=self._role,
            rollcall=lambda: made.Rollcall(
                self._admin, self._reader, owned=self._endpoint.owned, log=not self.abilities.log
            ),
            run=self.run,
        )

    def _clone(self, key: str, name: str, *, at_once: bool) -> int:
        """A fresh clone in the place of `name`: one that is ready, if the old one may be dropped later."""
        marker = Marker(what="copy", key=key, run=self.run)
        if key not in self._layers and self._templates.find(key) is None:
            raise sealing.spoiled()
        spares = self._spares.get(key)
        if spares is None:  # the first clone: whether a second is ever needed is not known
            self._spares[key] = Spares(key, template_name(key), self.run, self._open_databases)
            self._databases.drop(name)
            return self._databases.create(name, marker, template_name(key))
        spare = None if at_once else spares.take()
        if spare is None:
            self._databases.drop(name)
            spares.order()
            return self._databases.create(name, marker, template_name(key))
        old = f"seatrial_x_{secrets.token_hex(6)}"
        oid = self._databases.replace(name, spare, marker, old)
        spares.order(old)
        return oid

    def _source(self, key: str, name: str, horizon: int, discard: Callable[[], None] = lambda: None) -> Source:
        marker = Marker(what="copy", key=key, run=self.run)
        return Source(
            endpoint=self._endpoint,
            address=self._address(name),
            horizon=horizon % 2**32,
            abilities=self.abilities,
            admin=self._admin,
            reader=self._reader,
            clone=lambda at_once: self._leftovers.note(name, self._clone(key, name, at_once=at_once)),
            remark=marker.written_on(name),
            claim=lambda: self._databases.claim(name, marker),
            reference=lambda: self._reference(key),
            patience=self._patience,
            layer=lambda touched: self._layer(key, name, touched),
            discard=discard,
        )

    def _layer(self, below: str, name: str, touched: Sequence[str] | None) -> tuple[Source, str]:
        """A template of the copy `name` as it is, private to this run; and where the log is when it is made."""
        key = f"layer {secrets.token_hex(8)}"
        self._layers[key] = name
        horizon, start = layers.lay(
            self._admin, self._databases, self._endpoint, name, template_name(key), self._marker(key), touched
        )
        if below in self._spares:
            self._spares[below].order()  # for the end of the layer
        return self._source(key, name, horizon, lambda: self._discard(key)), start

    def _discard(self, key: str) -> None:
        """Remove the template of a layer, and what belongs to it."""
        self._let_go(key)
        for name in (reference_name(key), template_name(key)):
            self._databases.drop(name)
        self._layers.pop(key, None)

    def _let_go(self, key: str) -> None:
        for part in (self._spares.pop(key, None), self._references.pop(key, None)):
            if part is not None:
                part.close()

    def _marker(self, key: str) -> Marker:
        return Marker(what="layer", key=key, run=self.run)

    def _open_databases(self) -> tuple[Databases, Callable[[], None]]:
        link = Link(self._endpoint, self._endpoint.admin.database)
        return Databases(link, self._endpoint, self._owner.user if self._endpoint.owned else ""), link.close

    def _reference(self, key: str) -> Link:
        if key not in self._references:
            name, lock = reference_name(key), lock_number("template " + key)
            marker = self._marker(key) if key in self._layers else Marker(what="reference", key=key)
            self._admin.run(f"SELECT pg_advisory_lock({lock})")
            try:
                if self._databases.find(name) is None:
                    self._databases.create(name, marker, template_name(key))
            finally:
                self._admin.run(f"SELECT pg_advisory_unlock({lock})")
            self._references[key] = Link(self._endpoint, name, {**REFERENCE, **self._admin.quiet()})
        return self._references[key]

    def _hold(self, name: str) -> None:
        """The name is ours as long as this store is open."""
        if name in self._held:
            return
        found = self._databases.find(name)
        if found is not None:
            self._databases.refuse_strangers(found)
        self._budget.take()
        if not self._leases.take(name):
            raise taken(f'copy "{name}"')
        self._held.add(name)
        if _lasts(found):
            self._databases.drop(aside_name(name))
            self._databases.rename(name, aside_name(name))

    def _forget(self, name: str) -> None:
        copy = self._copies.pop(name, None)
        if copy is not None:
            copy.close()


def _lasts(found: Found | None) -> bool:
    return found is not None and found.marker is not None and found.marker.what == "lasting"
