"""What a test wrote is undone, row by row, and seed rows are never lost."""

from __future__ import annotations

import threading

import pytest

from seatrial.resources.kinds.postgres.finding import search
from seatrial.resources.kinds.postgres.reset import dead

from .conftest import Bench

SEEDED = """
create table plain (id serial primary key, v text);
create table seed (id int primary key, v text, n int default 7);
insert into seed select g, 'v' || g, g from generate_series(1, 1000) g;
"""


def test_committed_rows_are_undone_and_ids_restart(bench) -> None:
    one = bench(SEEDED)
    for _ in range(3):
        with one.connect() as app:
            assert app.execute("insert into plain (v) values ('a'), ('b') returning id").fetchall() == [(1,), (2,)]
        undone = one.undo()
        assert (undone.path, undone.rows) == (one.path, 2)
        assert "plain" in undone.tables


def test_a_test_that_only_reads_is_undone_by_doing_nothing(bench) -> None:
    one = bench(SEEDED)
    one.write(
        "select * from seed",
        "select * from seed where id = 3 for update",
        "begin",
        "insert into plain default values",
        "rollback",
        "vacuum",
        "analyze",
    )
    one.copy.undo()  # nextval is not rolled back
    one.write("select count(*) from seed", "select * from seed where id = 3 for update")
    assert one.undo().path == "nothing"


@pytest.mark.parametrize(
    "statement",
    [
        "insert into seed values (2000, 'new')",
        "update seed set v = 'other' where id % 50 = 0",
        "delete from seed where id % 50 = 0",
        "delete from seed",
        "update seed set id = -id",
        "update seed set v = v",
        "insert into seed values (1, 'x') on conflict (id) do update set v = excluded.v",
        "truncate seed",
        "cluster seed using seed_pkey",
        "vacuum full seed",
        "reindex table seed",
        "alter table seed cluster on seed_pkey",
        "copy seed (id) from program 'seq 5000 6000'",
        "do $$ begin insert into seed values (3000); begin update seed set v = 'x'; raise 'no'; exception when others then null; end; delete from seed where id = 1; end $$",
        "merge into seed using (values (1)) x(id) on seed.id = x.id when matched then delete",
    ],
)
def test_a_seeded_table_is_as_before_each_time(bench, statement: str) -> None:
    one = bench(SEEDED)
    if statement.startswith("merge") and one.store._admin.version < 150000:
        pytest.skip("MERGE came with PostgreSQL 15")
    for _ in range(3):
        one.write(statement)
        one.undo()


def test_a_row_is_restored_again_and_again_with_vacuum_and_cluster_in_between(bench) -> None:
    one = bench(SEEDED)
    rounds = [
        "update seed set v = 'x' where id in (1, 500)",
        "delete from seed where id in (1, 2, 500)",
        "vacuum seed",
        "update seed set id = 5000 where id = 1",
        "cluster seed using seed_pkey",
        "delete from seed where id < 20",
        "vacuum full seed",
        "update seed set v = 'x'",
        "vacuum (freeze) seed",
        "delete from seed",
        "vacuum",
        "insert into seed select g from generate_series(2000, 2500) g",
    ]
    for statement in rounds * 2:
        one.write(statement)
        one.undo()
        one.write("vacuum seed")
        one.undo()


def test_rows_of_a_table_without_a_key_are_told_apart_by_their_place(bench) -> None:
    one = bench("create table log (a int, b text); insert into log select g % 3, 'same' from generate_series(1, 300) g")
    for statement in ("delete from log where a = 1", "update log set b = 'same'", "insert into log values (1, 'same')"):
        one.write(statement)
        one.undo()


def test_generated_and_identity_columns_come_back_as_they_were(bench) -> None:
    one = bench(
        """create table g (id int generated always as identity, a int, twice int generated always as (a * 2) stored,
        drop_me int, "odd name" text, primary key (id));
        alter table g drop column drop_me;
        insert into g (a, "odd name") select x, 'it''s {a,"b"} \\ ' || x from generate_series(1, 50) x"""
    )
    for statement in (
        "delete from g where id < 10",
        "update g set a = 5",
        "truncate g",
        "insert into g (a) values (1)",
    ):
        one.write(statement)
        one.undo()


def test_values_of_any_type_come_back_as_they_were(bench) -> None:
    one = bench(
        """create type mood as enum ('sad', 'ok'); create domain short as text check (length(value) < 9);
        create type pair as (a int, b text);
        create table every (id int, f float8, r real, n numeric, b bytea, j json, jb jsonb, ts timestamptz, iv interval,
          d date, arr text[], m mood, s short, p pair, ps pair[], x xml, u uuid, rng tstzrange, c char(4), inf numeric,
          bits bit(3), net inet, pt point, mon money, v tsvector);
        insert into every select g, 1/3.0::float8, 1/3.0::real, 1e-20, '\\x00ff'::bytea, '{"b": 1,  "a": 2, "a": 3}',
          '{"a": [1, null]}', '2024-03-31 02:30+02', '1 mon -3 days 04:05:06.789', 'infinity', array['a,b', null, '', 'NULL', '"'],
          'ok', 'x', '(1,)', array['(2,"a)b")'::pair], null, gen_random_uuid(), '[2020-01-01,)', 'a', 'NaN',
          b'101', '10.0.0.0/8', '(0.1,0.2)', 12.34, 'a:1 b:2' from generate_series(1, 20) g;
        insert into every default values; insert into every default values"""
    )
    one.write("delete from every")
    one.undo()
    one.write("update every set id = id")
    one.undo()


def test_large_values_come_back_whole(bench) -> None:
    one = bench(
        """create table big (id int primary key, v text);
        insert into big select g, (select string_agg(md5(g::text || i::text), '') from generate_series(1, 300) i) from generate_series(1, 20) g"""
    )
    for statement in (
        "delete from big where id < 5",
        "update big set v = 'small' where id > 15",
        "update big set v = v || v",
        "truncate big",
    ):
        one.write(statement)
        one.undo()


def test_partitions_and_children_are_undone_where_the_rows_are(bench) -> None:
    one = bench(
        """create table p (id int, v text, primary key (id)) partition by range (id);
        create table p1 partition of p for values from (0) to (100);
        create table p2 partition of p for values from (100) to (200);
        insert into p select g, 'x' from generate_series(1, 50) g;
        create table parent (id int); create table child (extra int) inherits (parent);
        insert into parent values (1); insert into child values (2, 3)"""
    )
    for statement in (
        "insert into p values (150, 'y'), (60, 'z')",
        "update p set id = id + 100 where id < 20",
        "delete from p",
        "truncate p",
        "delete from parent",
        "update parent set id = 9",
        "insert into child values (5, 5)",
        "truncate parent",
    ):
        one.write(statement)
        one.undo()


def test_foreign_keys_in_a_circle_and_cascades_are_undone_in_any_order(bench) -> None:
    one = bench(
        """create table a (id int primary key, b int); create table b (id int primary key, a int references a on delete cascade);
        alter table a add foreign key (b) references b deferrable initially deferred;
        begin; insert into a select g, g from generate_series(1, 50) g; insert into b select g, g from generate_series(1, 50) g; commit;
        create table c (id serial primary key, a int not null references a on delete cascade)"""
    )
    for statement in (
        "begin; insert into a values (100, 100); insert into b values (100, 100); insert into c (a) values (100), (1); commit",
        "begin; update a set b = 2 where id = 1; delete from a where id = 3; update a set b = null where b = 3; commit",
        "begin; update a set b = null; delete from b; delete from a; commit",
        "truncate a, b cascade",
    ):
        one.write(statement)
        one.undo()


def test_triggers_do_not_see_the_undo_even_those_that_always_fire(bench) -> None:
    one = bench(
        """create table seen (id serial, what text); create table t (id int primary key, v int); insert into t values (1, 1), (2, 2);
        create function note() returns trigger language plpgsql as $$ begin insert into seen (what) values (tg_op); return null; end $$;
        create trigger usual after insert or update or delete on t for each row execute function note();
        create trigger always after insert or update or delete on t for each row execute function note();
        create trigger replica after insert or delete on t for each statement execute function note();
        alter table t enable always trigger always; alter table t enable replica trigger replica;
        create rule remember as on delete to t do also insert into seen (what) values ('rule');
        alter table t enable always rule remember"""
    )
    for statement in (
        "insert into t values (3, 3)",
        "update t set v = 9",
        "delete from t where id = 1",
        "delete from t",
    ):
        one.write(statement)
        assert one.undo().path == one.path
    with one.connect() as app:
        enabled = app.execute("select tgname, tgenabled::text from pg_trigger where tgrelid = 't'::regclass order by 1")
        assert enabled.fetchall() == [("always", "A"), ("replica", "R"), ("usual", "O")]
    one.write("insert into t values (3, 3)")
    with one.connect() as app:
        assert app.execute("select count(*) from seen").fetchone() == (2,)
    one.undo()


def test_row_level_security_hides_nothing_from_the_undo(bench) -> None:
    one = bench(
        """create table tenant (id int primary key, who text); insert into tenant values (1, 'a'), (2, 'b');
        alter table tenant enable row level security; alter table tenant force row level security;
        create policy own on tenant using (who = current_setting('app.who', true))"""
    )
    one.write(
        "insert into tenant values (3, 'c')",
        "delete from tenant where id = 1",
        "update tenant set who = 'x' where id = 2",
    )
    one.undo()


def test_unique_and_exclusion_constraints_do_not_stand_in_the_way(bench) -> None:
    one = bench(
        """create table u (id int, v text unique, r int4range, exclude using gist (r with &&));
        insert into u select g, 'v' || g, int4range(g * 10, g * 10 + 5) from generate_series(1, 20) g"""
    )
    one.write(
        "begin; update u set v = 'tmp' where id = 1; update u set v = 'v1' where id = 2; update u set r = 'empty'; update u set r = int4range(10, 500) where id = 20; commit"
    )
    one.undo()


def test_unlogged_tables_and_sequences_are_undone_too(bench) -> None:
    one = bench(
        """create unlogged table cache (id serial, v text); create unlogged table warm (id int);
        insert into warm select generate_series(1, 100)"""
    )
    for statement in (
        "insert into cache (v) values ('x')",
        "update warm set id = -id where id < 5",
        "delete from warm",
        "truncate warm",
    ):
        one.write(statement)
        one.undo()


def test_what_is_written_late_to_an_unlogged_table_is_found_even_if_a_clone_has_to_undo_it(bench, monkeypatch) -> None:
    one = bench("create unlogged table warm (id int); insert into warm select generate_series(1, 1000)")
    if not one.by_log:
        pytest.skip("who can't read the log looks for nothing that is late")
    assert one.copy.ready()
    one.write("update warm set id = -id")
    monkeypatch.setattr(search, "MOST_BLOCKS", 3)
    assert not one.copy.ready()
    assert one.copy.late_writes() == ("unlogged tables",)
    assert "blocks of warm" in one.needs_clone().what


def test_sequences_go_back_even_when_they_were_restarted_or_stood_inside_their_reserve(bench) -> None:
    one = bench(
        "create sequence s start 5 increment 3; select nextval('s'); create sequence fresh; create table t (id serial)"
    )
    for statement in (
        "select nextval('s')",
        "select nextval('s') from generate_series(1, 40)",
        "select setval('s', 1000)",
        "alter sequence s restart",
        "alter sequence s restart with 11",
        "truncate t restart identity",
        "select nextval('fresh')",
    ):
        for _ in range(2):
            one.write(statement)
            one.undo()


def test_large_objects_are_removed(bench) -> None:
    one = bench(SEEDED)
    one.write("select lo_from_bytea(0, 'abc')", "insert into plain (v) values ('a')")
    assert "large objects" in one.undo().tables


def test_large_objects_of_the_baseline_take_a_clone(bench) -> None:
    one = bench("select lo_from_bytea(4711, 'abc')")
    one.write("select lo_put(4711, 0, 'xyz')")
    if one.by_log:
        assert "large objects" in one.needs_clone().what
    else:
        one.needs_clone()


def test_a_materialized_view_that_was_refreshed_shows_the_baseline_again(bench) -> None:
    one = bench(
        SEEDED
        + "create materialized view total as select count(*) n, sum(id) from seed; create unique index on total (n)"
    )
    one.write("insert into seed values (2000)", "refresh materialized view total")
    assert any("total" in note for note in one.undo().notes)
    one.write("delete from seed where id = 1", "refresh materialized view concurrently total")
    one.undo()


def test_a_materialized_view_that_can_not_be_computed_again_takes_a_clone(bench) -> None:
    one = bench("create materialized view chance as select random()")
    one.write("refresh materialized view chance")
    assert "chance" in one.needs_clone().what


def test_several_connections_and_threads_are_one_test(bench) -> None:
    one = bench(SEEDED)

    def work(number: int) -> None:
        with one.connect(autocommit=False) as app:
            app.execute("insert into plain (v) values (%s)", (str(number),))
            app.execute("update seed set v = 'x' where id = %s", (number,))
            app.commit()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.undo()


def test_a_rewritten_table_with_many_seed_rows_takes_a_clone(bench) -> None:
    one = bench("create table many (id int); insert into many select generate_series(1, 20000)")
    one.write("truncate many")
    assert "many" in one.needs_clone().what
    one.write("delete from many where id < 100")
    one.undo()


def test_dead_rows_are_removed_when_there_are_many(bench) -> None:
    one = bench(SEEDED)
    assert not one.copy.tidy()
    one.write("insert into plain (v) select 'x' from generate_series(1, 1000)")
    one.undo()
    assert not one.copy.tidy()
    one.write("insert into plain (v) select 'x' from generate_series(1, 3000)")
    one.undo()
    assert one.copy.tidy()
    assert size(one, "plain") == 0
    one.undo()
    assert not one.copy.tidy()


def size(one: Bench, table: str) -> int:
    """How many blocks it has, with what is kept out of it."""
    whole = "pg_relation_size(oid) + coalesce(pg_relation_size(nullif(reltoastrelid, 0)), 0)"
    with one.connect() as app:
        found = app.execute(f"select ({whole}) / 8192 from pg_class where oid = '{table}'::regclass")
        return found.fetchone()[0]


@pytest.mark.parametrize(
    ("table", "work"),
    [
        ("plain", "begin; insert into plain (v) select 'x' from generate_series(1, 2000); rollback"),
        ("seed", "begin; insert into seed (id) select generate_series(2001, 4000); rollback"),
        ("seed", "update seed set id = -id; update seed set id = -id"),
        ("plain", "insert into plain (v) select string_agg(md5(n::text), '') from generate_series(1, 5000) n"),
        (
            "pg_largeobject",
            "select lo_from_bytea(0, decode(string_agg(md5(n::text), ''), 'hex')) from generate_series(1, 20000) n",
        ),
    ],
    ids=["rolled back", "rolled back, beside seeds", "given back", "few rows that are large", "large objects"],
)
def test_no_table_grows_from_test_to_test(embedded_store, bench_on, table: str, work: str) -> None:
    """Where the log tells what was written; a scan sees the rows that are there."""
    one = bench_on(embedded_store, SEEDED)
    one.write(work)
    once = size(one, table)
    for _ in range(12):
        one.undo()
        one.copy.tidy()
        one.write(work)
    assert size(one, table) <= 2 * once + dead.BEYOND
    embedded_store.drop(one.name)


def test_where_many_tests_have_touched_the_catalogs_dead_rows_are_removed_from_these_too(
    embedded_store, bench_on, monkeypatch
) -> None:
    monkeypatch.setattr(dead, "MOST_STIRS", 2)
    one = bench_on(embedded_store, SEEDED)
    for removed in (0, 0, 1, 1):
        one.write("truncate plain")
        one.undo()
        one.copy.tidy()
        with one.connect() as app:
            count = "select vacuum_count from pg_stat_all_tables where relid = 'pg_class'::regclass"
            assert app.execute(count).fetchone() == (removed,)
    embedded_store.drop(one.name)


def test_a_role_that_owns_no_more_than_its_database_removes_dead_rows_as_well(reads, bench_on) -> None:
    one = bench_on(reads, SEEDED)
    for work in ("'x' from generate_series(1, 3000)", "string_agg(md5(n::text), '') from generate_series(1, 30000) n"):
        one.write(f"insert into plain (v) select {work}")
        one.undo()
        assert one.copy.tidy()
        assert size(one, "plain") == 0


def test_a_table_that_somebody_has_locked_is_removed_from_later(bench) -> None:
    one = bench(SEEDED)
    one.write("insert into plain (v) select 'x' from generate_series(1, 3000)")
    one.undo()
    with one.connect(autocommit=False) as app:
        app.execute("lock table plain")
        assert one.copy.tidy()
        app.rollback()
