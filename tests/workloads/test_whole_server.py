"""Whatever tests of two workers do to the server that both are on, each gets back what it had, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.isolation import restore

from .lab import Bench, Lab
from .test_random import CALM, SHARE

WORKERS = ("a", "b")
LAYERS = 2
ROLES_STAND_IN = (
    *(("pg_shdepend", "refobjid"), ("pg_auth_members", "roleid"), ("pg_auth_members", "member")),
    *(("pg_db_role_setting", "setrole"), ("pg_shdescription", "objoid"), ("pg_authid", "oid")),
)

BASELINE = """
create table t (id int);
create role {w}0 login; create role {w}1 login password 'x' createdb; create role {w}2;
grant {w}0 to {w}1; grant {w}2 to {w}1 with admin option; grant {w}2 to {w}0 granted by {w}1;
alter role {w}0 set work_mem = '1MB'; alter role {w}2 set search_path = 'x';
comment on role {w}0 is 'zero'; comment on role {w}1 is 'one';
grant create on database {db} to {w}0; alter database {db} set work_mem = '3MB'
"""

STATEMENTS = (
    *("create role {x} login", "drop role {x}", "drop role {x}", "drop role {x}; create role {x}"),
    *(
        "alter role {x} nologin",
        "alter role {x} createdb",
        "alter role {x} createrole inherit",
        "alter role {x} noinherit",
    ),
    *("alter role {x} password '{n}'", "alter role {x} rename to {y}", "alter role {x} connection limit {n}"),
    *("alter role {x} set work_mem = '{n}MB'", "alter role {x} set temp_buffers = '{n}MB'", "alter role {x} reset all"),
    *("alter role {x} in database {db} set work_mem = '{n}MB'", "alter role {x} in database {db} reset all"),
    *("alter database {db} set work_mem = '{n}MB'", "alter database {db} reset all"),
    *(
        "alter database {db} connection limit 5{n}",
        "alter database {db} owner to {x}",
        "comment on database {db} is '{n}'",
    ),
    *("grant create on database {db} to {x}", "revoke all on database {db} from {x}"),
    *("grant temp on database {db} to {x}", "revoke temp on database {db} from public"),
    *("grant {x} to {y}", "grant {x} to {y} with admin option", "grant {x} to {y} with inherit false"),
    *("grant {x} to {y} granted by {z}", "revoke {x} from {y} granted by {z} cascade"),
    *("revoke {x} from {y}", "revoke {x} from {y} cascade", "revoke admin option for {x} from {y} cascade"),
    *("comment on role {x} is '{n}'", "comment on role {x} is null"),
    *("insert into t values (1)", "alter table t add column if not exists x{n} int", "grant select on t to {x}"),
    *("begin; savepoint s; alter role {x} createrole; rollback to s; drop role {y}; commit",),
    *(
        "begin; alter role {x} bypassrls; rollback",
        "begin; drop role {x}; rollback",
        "vacuum pg_authid",
        "vacuum pg_authid",
    ),
)

STATE = """
with own as (select * from pg_database where datname = current_database()),
  mine as (select * from pg_authid where rolname ~ '^{w}[0-9]')
select 'role' as what, oid::text as a, rolname::text as b, to_jsonb(mine)::text as c from mine
union all select 'membership', roleid::regrole::text, member::regrole::text, (to_jsonb(m) - 'oid')::text
  from pg_auth_members m where roleid in (select oid from mine) or member in (select oid from mine)
union all select 'setting', (setdatabase <> 0)::text, setrole::regrole::text, setconfig::text from pg_db_role_setting
  where setdatabase in (0, (select oid from own)) and (setrole = 0 or setrole in (select oid from mine))
union all select 'comment', objoid::regrole::text, '', description from pg_shdescription
  where classoid = 'pg_authid'::regclass and objoid in (select oid from mine)
union all select 'dependency', classid::regclass::text, refobjid::regrole::text, deptype::text from pg_shdepend
  where dbid = 0 and refobjid in (select oid from mine)
  and (classid <> 'pg_database'::regclass or objid = (select oid from own))
union all select 'dangling', setdatabase::text, setrole::text, '' from pg_db_role_setting
  where setdatabase <> 0 and setdatabase not in (select oid from pg_database)
union all select 'dangling', objid::text, refobjid::text, '' from pg_shdepend
  where classid = 'pg_database'::regclass and objid not in (select oid from pg_database)
union all select 'database', datdba::regrole::text, datconnlimit::text, datacl::text from own
"""


number = st.integers(0, 3)
statements = st.builds(
    lambda text, x, y, z, n: text.format(x=f"{{w}}{x}", y=f"{{w}}{y}", z=f"{{w}}{z}", n=n, db="{db}"),
    *(st.sampled_from(STATEMENTS), number, number, number, st.integers(1, 9)),
)


@dataclass(frozen=True)
class Move:
    """What one of the workers does next, as far as it can."""

    worker: str
    what: str
    statements: list[str]


moves = st.builds(
    Move,
    worker=st.sampled_from(WORKERS),
    what=st.sampled_from(["test", "test", "push", "pop", "check in"]),
    statements=st.lists(statements, min_size=1, max_size=4),
)


@dataclass
class Worker:
    """What one worker does: tests, on layers."""

    name: str
    bench: Bench
    baselines: list[list[tuple[str, ...]]] = field(default_factory=list)
    busy: bool = False

    def state(self) -> list[tuple[str, ...]]:
        """What it may rely on."""
        with self.bench.lab.connect(self.bench.name) as connection:
            return sorted(connection.execute(STATE.format(w=self.name)).fetchall())

    def work(self, statements: list[str]) -> None:
        """Some of a test's own, or of a layer's."""
        with self.bench.lab.connect(self.bench.name) as connection:
            for statement in statements:
                with suppress(psycopg.Error):
                    connection.execute(statement.format(w=self.name, db=self.bench.name).encode())
                if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                    connection.rollback()

    def move(self, move: Move) -> None:
        """As far as it can be done now."""
        if move.what == "test" or (move.what == "push" and (self.busy or len(self.baselines) > LAYERS)):
            if not self.busy:
                restore.ready(self.bench.copy)
            self.work(move.statements)
            self.busy = True
        elif move.what == "push":
            self.work(move.statements)
            self.bench.copy.push()
            self.baselines.append(self.state())
        elif self.busy:
            self.check_in()
        elif move.what == "pop" and len(self.baselines) > 1:
            self.pop()

    def leave(self) -> None:
        """All of it is over."""
        if self.busy:
            self.check_in()
        while len(self.baselines) > 1:
            self.pop()

    def check_in(self) -> None:
        """The test is over."""
        restore.undo(self.bench.copy)
        self.busy = False
        self.compare()

    def pop(self) -> None:
        """The layer is over."""
        self.bench.copy.pop()
        self.baselines.pop()
        self.compare()

    def compare(self) -> None:
        """See that it has its own again, whatever the other does."""
        now, then = self.state(), self.baselines[-1]
        assert now == then, ([row for row in now if row not in then], [row for row in then if row not in now])


class Server:
    """One server, with a copy for each worker, and roles that it alone changes."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._benches: dict[str, Bench] = {}

    def workers(self) -> dict[str, Worker]:
        """Each at its baseline."""
        for name in WORKERS:
            if name not in self._benches:
                self._benches[name] = self._lab.bench(partial(self._fill, name), f"roles_{name}")
        made = {name: Worker(name, bench) for name, bench in self._benches.items()}
        for worker in made.values():
            worker.baselines.append(worker.state())
        return made

    def clear(self) -> None:
        """Nothing is left of it, in whatever state it is."""
        benches, self._benches = self._benches, {}
        for bench in benches.values():
            bench.close()
        with self._lab.connect("postgres") as admin:
            for catalog, column in ROLES_STAND_IN:
                admin.execute(
                    f"""delete from {catalog}
                    where {column} in (select oid from pg_authid where rolname ~ '^[ab][0-9]')""".encode()
                )

    @staticmethod
    def _fill(name: str, connection: psycopg.Connection) -> None:
        connection.execute(BASELINE.format(w=name, db=connection.info.dbname).encode())


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[Server]:
    made = Server(lab)
    yield made
    made.clear()


@settings(max_examples=SHARE // 5, **CALM)
@given(moves=st.lists(moves, min_size=1, max_size=10))
def test_what_belongs_to_the_whole_server_is_put_back_and_what_another_worker_does_is_not_touched(
    server: Server, moves: list[Move]
) -> None:
    workers = server.workers()
    try:
        for move in moves:
            workers[move.worker].move(move)
        for worker in workers.values():
            worker.leave()
    except BaseException:
        server.clear()  # the next example does not start from what this one left behind
        raise
