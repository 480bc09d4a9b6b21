"""Each rule of the undo is disabled in turn, and the audit catches each: what it passes has been undone."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from seatrial.errors import NeedsClone
from seatrial.resources.kinds.postgres.connection import Link
from seatrial.resources.kinds.postgres.finding import meaning
from seatrial.resources.kinds.postgres.finding.log import LogReader, Written
from seatrial.resources.kinds.postgres.finding.meaning import Meaning
from seatrial.resources.kinds.postgres.finding.search import Search
from seatrial.resources.kinds.postgres.reset import at_once, undo
from seatrial.resources.kinds.postgres.reset.at_once import AtOnce
from seatrial.resources.kinds.postgres.reset.clone import Clone
from seatrial.resources.kinds.postgres.reset.fence import Fence
from seatrial.resources.kinds.postgres.reset.order import in_order
from seatrial.resources.kinds.postgres.reset.undo import Script, Undo
from seatrial.resources.kinds.postgres.shared.state import SharedState

from .lab import Bench, Lab

LAYER = """
create table empty (id serial primary key, v text);
create table seeded (id serial primary key, v text, n int);
create table heard (id bigserial, v text);
create unlogged table unlogged (id int, v text);
create table watched (id int primary key, v text);
create table parent (id int primary key);
create table child (id int primary key, parent int references parent on delete cascade);
insert into seeded (v, n) select 'v', g from generate_series(1, 50) g;
insert into unlogged values (1, 'x');
insert into watched values (1, 'x');
create table firm (id int primary key, v text);
create table held (id int primary key, firm int references firm on delete cascade);
create function twice(i int) returns int immutable language sql as 'select i * 2';
create table computed (n int, g int generated always as (twice(n)) stored);
insert into parent values (1);
insert into child values (1, 1);
insert into firm values (1, 'x');
insert into held values (1, 1);
insert into computed values (1);
create or replace function twice(i int) returns int immutable language sql as 'select i * 3';
create materialized view counted as select count(*) from seeded;
create materialized view moment as select clock_timestamp() as at;
create function hear() returns trigger language plpgsql as $$
begin insert into heard (v) values (tg_op); return null; end $$;
create function refuse() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger hears after insert or update or delete on seeded for each row execute function hear();
create trigger refuses before delete on watched for each row execute function refuse();
alter table watched enable always trigger refuses;
do $$ declare one text; begin for one in select tgname from pg_trigger where tgrelid = 'firm'::regclass loop
execute format('alter table firm enable always trigger %I', one); end loop; end $$;
"""

LEARNT = """
create table plain (id serial primary key, v text);
create table heard (v text);
create table watched (v text);
create function hear() returns trigger language plpgsql as $$
begin insert into heard values (tg_op); return null; end $$;
create trigger hears after delete on watched for each row execute function hear();
alter table watched enable always trigger hears;
"""
"""What takes one round trip once it was undone, and what never does."""

OF_A_LESSER_ROLE = """
create table heard (v text);
create table ruled (id int);
create table parent (id int primary key, v text);
create table child (id int primary key, parent int references parent on delete cascade);
create table later (id int primary key);
create table sooner (id int, later int references later on delete set null);
insert into parent values (1);
insert into child values (1, 1);
insert into sooner values (1);
create table tenant (id int);
alter table tenant enable row level security;
alter table tenant force row level security;
create policy all_of_it on tenant using (true);
create rule hears as on delete to ruled do also insert into heard values ('rule');
"""
"""A role that may not play a replica undoes in an order that needs no silence, or not at all."""


def without(pattern: str) -> Callable[[pytest.MonkeyPatch], None]:
    """The undo's script without the statements that `pattern` finds."""

    def disable(patch: pytest.MonkeyPatch) -> None:
        add = Script.add

        def left_out(self: Script, statement: str, then: Any = None) -> None:
            if re.match(pattern, statement):
                add(self, "SELECT WHERE false")
            else:
                add(self, statement, then)

        patch.setattr(Script, "add", left_out)

    return disable


def silent(owner: type, name: str, answer: Callable[[], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """A method that does nothing and says that there was nothing."""
    return lambda patch: patch.setattr(owner, name, lambda *_, **__: answer())


def rewritten(pattern: str, text: str) -> Callable[[pytest.MonkeyPatch], None]:
    """All that we send, with another text in the place of what `pattern` finds."""

    def disable(patch: pytest.MonkeyPatch) -> None:
        run = Link.run
        patch.setattr(Link, "run", lambda self, script, *a, **k: run(self, re.sub(pattern, text, script), *a, **k))

    return disable


def other(name: str, value: object) -> Callable[[pytest.MonkeyPatch], None]:
    """The comparison of catalogs with another constant."""
    return lambda patch: patch.setattr(meaning, name, value)


def both(*disables: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
    """A rule that a second one stands behind."""

    def disable(patch: pytest.MonkeyPatch) -> None:
        for one in disables:
            one(patch)

    return disable


def no_replica(patch: pytest.MonkeyPatch) -> None:
    """Our connection plays no replica: triggers fire, keys cascade."""
    patch.setattr(Link, "_open", _as_origin(Link._open))


def _as_origin(opened: Callable[[Link], Any]) -> Callable[[Link], Any]:
    def open_(self: Link) -> Any:
        connection = opened(self)
        if not self.database.startswith("postgres"):
            connection.execute("set session_replication_role = origin")
        return connection

    return open_


def unordered(**unknown: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """The order of an undo is looked for by who does not know all of the schema."""
    return lambda patch: patch.setattr(
        undo, "in_order", lambda plan, catalog: in_order(plan, replace(catalog, **unknown))
    )


unchecked = silent(Undo, "_check", lambda: None)
"""What the undo says of itself is not looked at."""


visible = silent(Search, "_hidden", lambda: None)
"""As if no row were hidden from our role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule, how to disable it, and work that needs it."""

    name: str
    disable: Callable[[pytest.MonkeyPatch], None]
    work: tuple[str, ...]
    found: str
    """The kind of a difference that must be among those found."""
    rolled_back: bool = False
    """Whether the undo is the one after a rollback."""


RULES = (
    Rule(name="the log is read", disable=silent(LogReader, "_piece", Written), work=("insert into empty (v) values ('x')",),
         found="rows"),
    Rule(name="tables without seed are emptied", disable=without("EXECUTE empty_"),
         work=("insert into empty (v) values ('x')",), found="rows"),
    Rule(name="extra rows are deleted", disable=both(without("DELETE FROM ONLY"), unchecked),
         work=("insert into seeded (v) values ('x')",), found="rows"),
    Rule(name="lost rows are given back", disable=both(without("INSERT INTO"), unchecked),
         work=("delete from seeded where id = 5",), found="rows"),
    Rule(name="stored columns are compared", disable=unchecked, work=("update computed set n = 1",),
         found="rows"),
    Rule(name="sequences are set back", disable=silent(Undo, "_set_back", str), work=("select nextval('empty_id_seq')",),
         found="sequence"),
    Rule(name="views are refreshed", disable=both(without("REFRESH"), silent(Search, "check_views", lambda: None)),
         work=("delete from seeded where id = 5", "refresh materialized view counted"), found="rows"),
    Rule(name="refreshed views are compared", disable=silent(Search, "check_views", lambda: None),
         work=("refresh materialized view moment",), found="rows"),
    Rule(name="marks of CLUSTER are taken back", disable=without("ALTER TABLE .* SET WITHOUT CLUSTER"),
         work=("cluster seeded using seeded_pkey",), found="pg_index"),
    Rule(name="large objects are removed", disable=without("SELECT lo_unlink"), work=("select lo_create(4711)",),
         found="rows"),
    Rule(name="large objects are looked for", disable=silent(Search, "_large_objects", lambda: None),
         work=("select lo_create(4711)",), found="rows"),
    Rule(name="always triggers are silenced", disable=both(without("ALTER TABLE .* DISABLE"), unchecked),
         work=("insert into watched values (2, 'y')",), found="rows"),
    Rule(name="keys that always fire are silenced", disable=without('ALTER TABLE .* DISABLE TRIGGER "RI_'),
         work=("update firm set v = 'y'",), found="rows"),
    Rule(name="always triggers are restored", disable=without("ALTER TABLE .* ENABLE"),
         work=("insert into watched values (2, 'y')",), found="pg_trigger"),
    Rule(name="unlogged tables are probed", disable=silent(Search, "_unlogged", lambda: None),
         work=("insert into unlogged values (2, 'y')",), found="rows"),
    Rule(name="new files of tables are followed", disable=silent(Search, "_remap", set), work=("truncate seeded",),
         found="rows"),
    Rule(name="the schema is compared", disable=silent(Meaning, "changes", list), work=("create table more (id int)",),
         found="pg_class"),
    Rule(name="dependencies are compared", disable=other("_ALONE", "false"),
         work=("alter sequence empty_id_seq owned by none",), found="pg_depend"),
    Rule(name="options of toast are compared", disable=other("_ADDED", {}),
         work=("alter table seeded set (toast.autovacuum_enabled = false)",), found="pg_class"),
    Rule(name="open transactions are ended", disable=silent(Fence, "settle", tuple),
         work=("begin", "insert into empty (v) values ('x')"), found="open transaction"),
    Rule(name="prepared transactions are rolled back", disable=rewritten("ROLLBACK PREPARED", "SELECT"),
         work=("begin", "insert into empty (v) values ('x')", "prepare transaction 'left'"), found="prepared transaction"),
    Rule(name="our connection plays a replica", disable=no_replica, work=("delete from seeded where id = 5",), found="rows"),
    Rule(name="keys do not cascade into the seed", disable=no_replica,
         work=("update parent set id = id",), found="rows"),
    Rule(name="settings of the database are put back", disable=silent(SharedState, "restore", list),
         work=("do $$ begin execute format('alter database %I set work_mem = ''1MB''', current_database()); end $$",),
         found="setting"),
)  # fmt: skip

RULES_OF_A_LESSER_ROLE = (
    Rule(name="triggers and rules are seen", disable=both(unordered(triggered=frozenset()), visible), work=("insert into ruled values (1)",),
         found="rows"),
    Rule(name="hidden rows are brought back by a clone", disable=visible,
         work=("insert into tenant values (1)",), found="rows"),
    Rule(name="keys are seen", disable=both(unordered(foreign_keys=()), visible), work=("update parent set v = 'x'",), found="rows"),
)  # fmt: skip


def declared(pattern: str, text: str) -> Callable[[pytest.MonkeyPatch], None]:
    """The function that looks and undoes, with another text in the place of what `pattern` finds."""
    assert re.search(pattern, at_once.DECLARE)
    return lambda patch: patch.setattr(at_once, "DECLARE", re.sub(pattern, text, at_once.DECLARE))


def unguarded(patch: pytest.MonkeyPatch) -> None:
    """What is undone in one trip is learnt by who knows of no triggers."""
    learn = AtOnce.learn

    def careless(self: AtOnce, plan: Any, written: Written) -> None:
        self._catalog = replace(self._catalog, guards={})
        learn(self, plan, written)

    patch.setattr(AtOnce, "learn", careless)


RULES_OF_ONE_TRIP = (
    Rule(name="it waits for nobody who is busy", disable=declared(r"EXISTS \(\{busy\}\)", "false"),
         work=("begin", "insert into plain (v) values ('x')"), found="open transaction"),
    Rule(name="it empties tables", disable=declared(r"EXECUTE 'EXECUTE undo_' .*;", ""),
         work=("insert into plain (v) values ('x')",), found="rows"),
    Rule(name="it sets sequences back", disable=declared(r"setval\(.*\)", "1"),
         work=("select nextval('plain_id_seq')",), found="sequence"),
    Rule(name="what hears deletes is silenced first", disable=unguarded,
         work=("insert into watched values ('x')",), found="rows"),
    Rule(name="after a rollback it looks for commits", disable=declared(r"NOT EXISTS \(\{committed\}\)", "true"),
         work=("insert into plain (v) values ('x')",), found="rows", rolled_back=True),
    Rule(name="after a rollback it sets sequences back", disable=declared(r"setval\(.*\)", "1"),
         work=("begin", "insert into plain (v) values ('x')", "rollback"), found="sequence", rolled_back=True),
)  # fmt: skip


@pytest.fixture(scope="module")
def bench(lab: Lab) -> Iterator[Bench]:
    made = lab.bench(lambda connection: connection.execute(LAYER.encode()), "mutations")
    yield made
    made.close()


@pytest.fixture(scope="module")
def lesser(lab: Lab) -> Iterator[Bench]:
    made = lab.bench(lambda connection: connection.execute(OF_A_LESSER_ROLE.encode()), "lesser_mutations", lesser=True)
    yield made
    made.close()


@pytest.fixture(scope="module")
def learnt(lab: Lab) -> Iterator[Bench]:
    made = lab.bench(lambda connection: connection.execute(LEARNT.encode()), "learnt_mutations")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def at_its_baseline(request: pytest.FixtureRequest) -> Iterator[None]:
    used = [request.getfixturevalue(name) for name in ("lesser", "learnt", "bench") if name in request.fixturenames]
    yield
    for one in used:
        one.copy.renew()


def work(bench: Bench, statements: tuple[str, ...]) -> Any:
    connection = bench.connect()
    for one in statements:
        connection.execute(one.encode())
    return connection


def undone(bench: Bench, *, rolled_back: bool = False) -> set[str]:
    """Undo, whatever it says of itself, and return what the audit says."""
    with suppress(ValueError):  # the bookkeeping of the disabled rule
        bench.copy.undo_at_once(rolled_back=rolled_back) or bench.copy.undo()
    return {found.kind for found in bench.differences()}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_audit_catches_an_undo_without_the_rule(bench: Bench, monkeypatch: pytest.MonkeyPatch, rule: Rule) -> None:
    with monkeypatch.context() as patch, work(bench, rule.work) as connection:
        rule.disable(patch)
        assert rule.found in undone(bench)
        connection.close()


def test_the_audit_finds_nothing_where_no_rule_is_disabled(bench: Bench) -> None:
    for rule in RULES:
        with work(bench, rule.work) as connection:
            assert not bench.back().differences, rule.name
            connection.close()


@pytest.mark.parametrize("rule", RULES_OF_ONE_TRIP, ids=lambda rule: rule.name)
def test_the_audit_catches_an_undo_in_one_trip_without_the_rule(
    learnt: Bench, monkeypatch: pytest.MonkeyPatch, rule: Rule
) -> None:
    for disabled in (False, True):
        with monkeypatch.context() as patch:
            if disabled:
                rule.disable(patch)
            learnt.copy.renew()  # our connection declares the function anew
            while not any(spares._ready.qsize() for spares in learnt.store._spares.values()):
                time.sleep(0.01)  # the next spare is made meanwhile: that is no work of a test's, but is in the log
            with work(learnt, ("insert into plain (v) values ('x')", "insert into watched values ('x')")) as connection:
                assert not learnt.back().differences
                connection.close()
            assert learnt.copy.ready()
            with work(learnt, rule.work) as connection:
                assert (rule.found in undone(learnt, rolled_back=rule.rolled_back)) is disabled
                connection.close()


@pytest.mark.parametrize("rule", RULES_OF_A_LESSER_ROLE, ids=lambda rule: rule.name)
def test_the_audit_catches_an_undo_of_a_lesser_role_without_the_rule(
    lesser: Bench, monkeypatch: pytest.MonkeyPatch, rule: Rule
) -> None:
    with work(lesser, rule.work) as connection:
        assert not lesser.back().differences
        connection.close()
    with monkeypatch.context() as patch, work(lesser, rule.work) as connection:
        rule.disable(patch)
        assert rule.found in undone(lesser)
        connection.close()


@pytest.mark.parametrize(
    ("pattern", "text", "statement"),
    [
        ("WHERE ctid = ANY", "WHERE false AND ctid = ANY", "insert into seeded (v) values ('x')"),
        ("RETURNING ctid", "WHERE false RETURNING ctid", "delete from seeded where id = 5"),
    ],
)
def test_an_undo_that_is_hindered_says_so_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, pattern: str, text: str, statement: str
) -> None:
    with monkeypatch.context() as patch, work(bench, (statement,)) as connection:
        rewritten(pattern, text)(patch)
        with pytest.raises(NeedsClone, match="nothing said why"):
            bench.copy.undo()
        connection.close()


def test_the_audit_catches_an_undo_that_reads_the_log_only_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is busy when the log is read may write after it: it is read once more when he is done."""
    monkeypatch.setattr(Clone, "_read_on", lambda self, log: True)
    slow = b"do $$ begin perform pg_sleep(0.1); insert into empty (v) values ('late'); end $$"
    running = "select 1 from pg_stat_activity where pid = %s and state = 'active'"
    with bench.connect() as writer, bench.lab.connect("postgres") as admin:
        busy = threading.Thread(target=writer.execute, args=(slow,))
        busy.start()
        while not admin.execute(running, (writer.info.backend_pid,)).fetchone():
            pass
        found = undone(bench)
        busy.join()
    assert "rows" in found


def test_the_audit_catches_an_undo_that_event_triggers_hear(machine_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    if int(machine_lab.server.endpoint.version.split(".")[0]) >= 17:
        pytest.skip("they can be silenced since PostgreSQL 17")
    script = """create table base (id int); create table told (tag text);
    create materialized view seen as select count(*) from base;
    create function tell() returns event_trigger language plpgsql as $$ begin insert into told values (tg_tag); end $$;
    create event trigger teller on ddl_command_end execute function tell();
    alter event trigger teller enable always; truncate told"""
    work = b"insert into base values (1); refresh materialized view seen; truncate told"
    bench = machine_lab.bench(lambda connection: connection.execute(script.encode()), "heard")
    try:
        with bench.connect() as connection:
            connection.execute(work)
        assert not bench.back().differences
        monkeypatch.setattr(bench.copy._clone._undo, "_heard", False)
        with bench.connect() as connection:
            connection.execute(work)
        assert "rows" in undone(bench)
    finally:
        bench.close()
