"""Apps that speak to psycopg, psycopg2 or asyncpg themselves: their connections join one transaction, on the wire."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import asyncpg
import psycopg
import psycopg2
import psycopg2.pool
import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from tests.sessions.conftest import RealCopy

from .conftest import EMAILS, INSERT, emails


def with_psycopg(url: str, email: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(INSERT, (email,))


def with_psycopg2(url: str, email: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(INSERT, (email,))
        connection.commit()


def with_async_psycopg(url: str, email: str) -> None:
    async def work() -> None:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute(INSERT, (email,))

    asyncio.run(work())


def with_asyncpg(url: str, email: str) -> None:
    async def work() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("INSERT INTO users (email) VALUES ($1)", email)
        await connection.close()

    asyncio.run(work())


@pytest.mark.parametrize("commit", [with_psycopg, with_psycopg2, with_async_psycopg, with_asyncpg])
def test_a_commit_of_each_driver_is_seen_by_the_test_and_never_happens(
    idle: Any, url: str, copy: RealCopy, commit: Callable[[str, str], None]
) -> None:
    for _ in range(2):
        idle.begin(joined=True)
        commit(url, "a")
        assert emails(idle) == ["a"]
        assert idle.end() == ()
        assert copy.emails() == []
    idle.begin(joined=False)
    commit(url, "real")
    assert copy.emails() == ["real"]


def test_all_drivers_and_the_test_share_one_transaction(sessions: Any, url: str, copy: RealCopy) -> None:
    db = sessions.session()
    db.execute(INSERT, ("test",))
    db.commit()
    for commit in (with_psycopg, with_psycopg2, with_async_psycopg, with_asyncpg):
        commit(url, commit.__name__)
    assert len(emails(sessions)) == 5
    assert sessions.end() == ()
    assert copy.emails() == []


def test_pools_that_existed_before_lend_joined_connections_and_afterwards_real_ones(
    idle: Any, url: str, copy: RealCopy
) -> None:
    async def insert(pool: Any, email: str) -> None:
        async with pool.acquire() as connection:
            await connection.execute("INSERT INTO users (email) VALUES ($1)", email)

    async def opened() -> Any:
        return await asyncpg.create_pool(url, min_size=1, max_size=1)

    with ExitStack() as stack:
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        of_asyncpg = loop.run_until_complete(opened())
        stack.callback(lambda: loop.run_until_complete(of_asyncpg.close()))
        of_psycopg = stack.enter_context(ConnectionPool(url, min_size=1, max_size=1, open=True))
        of_psycopg2 = psycopg2.pool.ThreadedConnectionPool(1, 1, url)
        stack.callback(of_psycopg2.closeall)

        def all_of_them() -> None:
            loop.run_until_complete(insert(of_asyncpg, "asyncpg"))
            with of_psycopg.connection() as connection:
                connection.execute(INSERT, ("psycopg",))
            connection = of_psycopg2.getconn()
            with connection, connection.cursor() as cursor:
                cursor.execute(INSERT, ("psycopg2",))
            of_psycopg2.putconn(connection)

        for joined in (True, True, False, True):
            idle.begin(joined=joined)
            all_of_them()
            assert idle.end() == ()
            assert copy.emails() == ([] if joined else ["asyncpg", "psycopg", "psycopg2"])
            with copy.connect() as real:
                real.execute("DELETE FROM users")
        all_of_them()  # between tests the app is used by fixtures of wider scope
        assert copy.emails() == ["asyncpg", "psycopg", "psycopg2"]


def test_a_pool_of_async_psycopg_joins(sessions: Any, url: str, copy: RealCopy) -> None:
    async def work() -> None:
        async with AsyncConnectionPool(url, min_size=2, open=False) as pool, pool.connection() as connection:
            await connection.execute(INSERT, ("a",))

    asyncio.run(work())
    assert emails(sessions) == ["a"]
    assert sessions.end() == ()
    assert copy.emails() == []


@pytest.mark.parametrize("driver", [psycopg, psycopg2])
def test_an_expected_error_poisons_neither_the_connection_nor_the_test(sessions: Any, url: str, driver: Any) -> None:
    with_psycopg(url, "taken")
    with closing(driver.connect(url)) as connection:
        with pytest.raises(driver.errors.UniqueViolation):
            connection.cursor().execute(INSERT, ("taken",))
        with pytest.raises(driver.errors.InFailedSqlTransaction):
            connection.cursor().execute("SELECT 1")
        connection.rollback()
        connection.cursor().execute(INSERT, ("other",))
        connection.commit()
    assert emails(sessions) == ["other", "taken"]
    assert sessions.end() == ()


def test_the_commit_of_a_failed_transaction_is_a_rollback(sessions: Any, url: str) -> None:
    with closing(psycopg.connect(url)) as connection:
        connection.execute(INSERT, ("a",))
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
        connection.commit()
        assert connection.execute(EMAILS).fetchall() == []
    assert sessions.end() == ()


def test_in_autocommit_each_statement_stands_for_itself(sessions: Any, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(INSERT, ("a",))
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(INSERT, ("a",))
        connection.execute(INSERT, ("b",))
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("INSERT INTO users (email) VALUES ('c'); SELECT 1 / 0")
        with connection.transaction(force_rollback=True):
            connection.execute(INSERT, ("d",))
        assert emails(sessions) == ["a", "b"]
    assert sessions.end() == ()


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_commit_checks_deferred_constraints(sessions: Any, url: str, autocommit: bool) -> None:
    with closing(psycopg.connect(url, autocommit=autocommit)) as connection:
        with pytest.raises(psycopg.errors.ForeignKeyViolation), connection.transaction():
            connection.execute("INSERT INTO pets (owner) VALUES (77)")
        connection.rollback()
        with connection.transaction():
            connection.execute("INSERT INTO pets (owner) VALUES (1)")
            connection.execute("INSERT INTO users VALUES (1, 'late')")
        assert connection.execute("SELECT count(*) FROM pets").fetchone() == (1,)
    assert sessions.end() == ()


@pytest.mark.parametrize(
    ("change", "owner"),
    [("DROP CONSTRAINT pets_owner_fkey", 77), ("ALTER CONSTRAINT pets_owner_fkey NOT DEFERRABLE", 1)],
)
def test_a_test_may_drop_or_alter_a_deferred_constraint(sessions: Any, url: str, change: str, owner: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(f"ALTER TABLE pets {change}")
        connection.execute("INSERT INTO users VALUES (1, 'early')")
        connection.commit()
        connection.execute("INSERT INTO pets (owner) VALUES (%s)", (owner,))
        connection.commit()
        assert connection.execute("SELECT count(*) FROM pets").fetchone() == (1,)
    assert sessions.end() == ()


def test_nested_transactions_of_the_app_are_its_own(sessions: Any, url: str) -> None:
    with psycopg.connect(url) as connection, connection.transaction():
        connection.execute(INSERT, ("outside",))
        with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
            connection.execute(INSERT, ("outside",))
        connection.execute(INSERT, ("after",))
    assert emails(sessions) == ["after", "outside"]
    assert sessions.end() == ()


def test_raw_statements_about_the_transaction_mean_what_they_say(sessions: Any, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("BEGIN; INSERT INTO users (email) VALUES ('one'); COMMIT; BEGIN")
        connection.execute("INSERT INTO users (email) VALUES ('none')")
        connection.execute("ROLLBACK AND CHAIN")
        connection.execute("INSERT INTO users (email) VALUES ('two'); /* ; */ COMMIT AND CHAIN; SELECT ';COMMIT'")
        connection.execute("INSERT INTO users (email) VALUES ('three')")
        connection.execute("-- the end\nABORT")
    assert emails(sessions) == ["one", "two"]
    assert sessions.end() == ()


def test_a_prepared_commit_is_a_commit(sessions: Any, url: str) -> None:
    """psycopg prepares what it has sent five times, COMMIT included; asyncpg whatever it is asked to."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=1) as connection:
        for number in range(4):
            connection.execute("BEGIN")
            connection.execute(INSERT, (str(number),))
            connection.execute("COMMIT" if number % 2 else "ROLLBACK")

    async def work() -> None:
        one, other = await asyncpg.connect(url), await asyncpg.connect(url)
        for connection in (one, other):
            commit = await connection.prepare("COMMIT")
            await connection.execute("BEGIN")
            await connection.execute("INSERT INTO users (email) VALUES ($1)", f"asyncpg {id(connection)}")
            await commit.fetch()
        assert await one.fetchval("SELECT count(*) FROM users WHERE email LIKE $1", "asyncpg%") == 2
        await one.close()
        await other.close()

    asyncio.run(work())
    assert len(emails(sessions)) == 4
    assert sessions.end() == ()


@pytest.mark.parametrize("prepare", [False, True])
@pytest.mark.parametrize(
    "statement",
    [
        "SAVEPOINT a",
        "RELEASE a",
        "ROLLBACK TO a",
        "COMMIT AND CHAIN",
        "LOCK TABLE users",
        "DECLARE c CURSOR FOR SELECT 1",
    ],
)
def test_what_is_for_transaction_blocks_is_refused_outside_of_one(
    sessions: Any, url: str, statement: str, prepare: bool
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.NoActiveSqlTransaction, match="can only be used in transaction blocks"):
            connection.execute(statement, prepare=prepare)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert sessions.end() == ()


def test_a_commit_goes_well_where_only_a_cursor_was_refused_before_it(idle: Any, url: str) -> None:
    for _ in range(2):  # the second test finds the one connection open
        idle.begin(joined=True)
        with psycopg.connect(url, autocommit=True) as connection:
            with pytest.raises(psycopg.errors.NoActiveSqlTransaction):
                connection.execute("DECLARE c CURSOR FOR SELECT 1")
            connection.execute("COMMIT")
            assert connection.execute("SELECT 1").fetchall() == [(1,)]
        assert idle.end() == ()


@pytest.mark.parametrize("script", ["BEGIN; SELECT 1; COMMIT", "COMMIT; SELECT 1"])
def test_a_script_can_not_be_prepared_though_it_begins_with_the_transaction(
    sessions: Any, url: str, script: str
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.SyntaxError, match="multiple commands"):
            connection.execute(script, prepare=True)
        connection.execute("COMMIT ;", prepare=True)
    assert sessions.end() == ()


def test_what_is_not_for_transaction_blocks_is_refused_in_one(sessions: Any, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("BEGIN")
        with pytest.raises(psycopg.errors.ActiveSqlTransaction, match="DISCARD ALL cannot run inside"):
            connection.execute("DISCARD ALL")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("BEGIN")
        connection.execute("ROLLBACK")
        connection.execute("BEGIN READ ONLY")
        connection.execute("BEGIN")
        connection.execute("COMMIT")
        connection.execute("INSERT INTO users (email) VALUES ('after')")
    assert emails(sessions) == ["after"]
    assert sessions.end() == ()


def test_copy_pipelines_cursors_and_many_rows_pass_the_wire(sessions: Any, url: str) -> None:
    with psycopg.connect(url) as connection:
        with connection.cursor() as cursor, cursor.copy("COPY users (email) FROM STDIN") as copy:
            for number in range(5000):
                copy.write_row((f"{number:05}",))
        with (
            pytest.raises(psycopg.errors.UniqueViolation),
            connection.cursor() as cursor,
            connection.transaction(),
            cursor.copy("COPY users (email) FROM STDIN") as copy,
        ):
            copy.write_row(("00000",))
        with connection.cursor() as cursor, cursor.copy("COPY users (email) TO STDOUT") as copy:
            assert len(list(copy.rows())) == 5000
        with connection.pipeline():
            found = [connection.execute("SELECT %s, repeat('x', 1000)", (number,)) for number in range(500)]
        assert [cursor.fetchone()[0] for cursor in found] == list(range(500))
        with connection.cursor("on the server") as cursor:
            assert len(cursor.execute(EMAILS).fetchmany(10)) == 10
        connection.cursor().executemany(INSERT, [(f"many {number}",) for number in range(50)])

    async def work() -> None:
        connection = await asyncpg.connect(url)
        await connection.copy_records_to_table("users", records=[("by asyncpg",)], columns=["email"])
        async with connection.transaction():
            rows = [row async for row in connection.cursor(EMAILS, prefetch=100)]
        assert len(rows) == 5051
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.copy_records_to_table("users", records=[("by asyncpg",)], columns=["email"])
        await connection.close()

    asyncio.run(work())
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.DivisionByZero), connection.pipeline():
        connection.cursor().executemany("SELECT 1 / %s", [(1,), (0,), (2,)])
    assert len(emails(sessions)) == 5051
    assert sessions.end() == ()


def test_after_many_rows_of_which_an_early_one_is_refused_a_copy_and_all_after_it_are_answered(
    sessions: Any, url: str
) -> None:
    async def work() -> None:
        connection, other = await asyncpg.connect(url), await asyncpg.connect(url)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.executemany("INSERT INTO users (email) VALUES ($1)", [("a",)] * 100)
        await connection.copy_to_table("users", source=io.BytesIO(b"copied\n"), columns=["email"])
        for number in range(3):
            assert await other.fetchval(f"SELECT {number}") == number
            assert await connection.fetchval(f"SELECT {-number}") == -number
        await connection.close()
        await other.close()

    asyncio.run(work())
    assert emails(sessions) == ["copied"]
    assert sessions.end() == ()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("VACUUM users", "VACUUM users can't run inside a transaction"),
        ("CREATE INDEX CONCURRENTLY i ON users (email)", "CREATE INDEX CONCURRENTLY i can't run"),
        ("CREATE DATABASE another", "CREATE DATABASE another can't run"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", "isolation level SERIALIZABLE"),
        ("START TRANSACTION ISOLATION LEVEL REPEATABLE READ", "isolation level REPEATABLE READ"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "isolation level SERIALIZABLE"),
        ("SET default_transaction_isolation = 'repeatable read'", "isolation level REPEATABLE READ"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "session in which all transactions are READ ONLY"),
        ("SET default_transaction_read_only = on", "session in which all transactions are READ ONLY"),
        ("LISTEN news", "LISTEN, which hears nothing"),
        ("COMMIT PREPARED 'x'", "two phases"),
        ("DO $$ BEGIN COMMIT; END $$", "ends its transaction itself"),
    ],
)
def test_what_one_transaction_can_not_hold_is_refused_and_told(
    sessions: Any, url: str, statement: str, words: str
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises(psycopg.Error):
            connection.execute(statement)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        connection.execute(INSERT, ("after",))
    assert emails(sessions) == ["after"]
    (complaint,) = sessions.end()
    assert words in complaint


def test_what_the_server_refuses_in_the_apps_own_transaction_is_the_apps_affair(sessions: Any, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            connection.execute("VACUUM users")
        connection.rollback()
    assert sessions.end() == ()


def test_an_isolation_level_of_a_drivers_own_is_refused_with_the_marker_to_write(sessions: Any, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        with pytest.raises(psycopg.errors.FeatureNotSupported) as refused:
            connection.execute("SELECT 1")
        assert 'seatrial(NAME="reset")' in str(refused.value)
    assert len(sessions.end()) == 1


def test_a_transaction_that_only_reads_can_not_write(sessions: Any, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.read_only = True
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute(INSERT, ("a",))
        connection.rollback()
        assert connection.execute(EMAILS).fetchall() == []
        connection.commit()
        connection.read_only = None
        connection.execute(INSERT, ("b",))
    assert emails(sessions) == ["b"]
    assert sessions.end() == ()


@pytest.mark.parametrize("end", ["COMMIT AND CHAIN", "ROLLBACK AND CHAIN"])
def test_the_transaction_that_is_chained_to_one_that_only_reads_only_reads(sessions: Any, url: str, end: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("BEGIN READ ONLY")
        connection.execute(end)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute(INSERT, ("a",))
        connection.execute("ROLLBACK")
        connection.execute(INSERT, ("b",))
    assert emails(sessions) == ["b"]
    assert sessions.end() == ()


def test_what_may_be_done_where_nothing_may_be_written_stays(sessions: Any, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE found (id int)")
        connection.execute("BEGIN READ ONLY")
        connection.execute("INSERT INTO found VALUES (1)")
        connection.execute("COMMIT")
        assert connection.execute("SELECT id FROM found").fetchall() == [(1,)]
    assert sessions.end() == ()


def test_a_select_may_write_by_a_function(idle: Any, url: str) -> None:
    with psycopg.connect(url) as real:
        real.execute(
            'CREATE FUNCTION "Join us"(who text) RETURNS text LANGUAGE sql AS '
            "'INSERT INTO users (email) VALUES (who) RETURNING email'"
        )
    idle.begin(joined=True)
    with psycopg.connect(url) as one, psycopg.connect(url) as other:
        one.execute("""SELECT "Join us" ('a')""")
        other.execute("SELECT 1")
        other.commit()
        one.rollback()
    assert emails(idle) == []
    assert idle.end() == ()


def test_a_script_that_begins_with_a_select_may_write(sessions: Any, url: str) -> None:
    with psycopg.connect(url) as one, psycopg.connect(url) as other:
        one.execute(INSERT, ("a",))
        one.commit()
        one.execute("SELECT 1; DELETE FROM users")
        other.execute("SELECT 1")
        other.commit()
        one.rollback()
    assert emails(sessions) == ["a"]
    assert sessions.end() == ()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("default_transaction_isolation=serializable", "the isolation level SERIALIZABLE"),
        ("default_transaction_isolation=repeatable\\ read", "the isolation level REPEATABLE READ"),
        ("default_transaction_read_only=on", "session in which all transactions are READ ONLY"),
    ],
)
def test_a_connection_that_asks_for_transactions_of_another_kind_is_refused_and_told(
    sessions: Any, url: str, setting: str, words: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match=words) as refused:
        psycopg.connect(url, options=f"-c {setting}")
    assert 'seatrial(NAME="reset")' in str(refused.value)
    with psycopg.connect(url, options="-c default_transaction_isolation=read\\ committed") as connection:
        connection.execute(INSERT, ("a",))
    assert emails(sessions) == ["a"]
    (complaint,) = sessions.end()
    assert words in complaint


def test_a_connection_as_another_role_is_refused_and_told(sessions: Any, copy: RealCopy) -> None:
    address = copy.address
    with pytest.raises(psycopg.OperationalError, match='as role "reader"'):
        psycopg.connect(host=address.host, port=address.port, dbname=address.database, user="reader")
    (complaint,) = sessions.end()
    assert 'role "reader"' in complaint


def test_settings_of_one_connection_do_not_hold_for_another(sessions: Any, url: str) -> None:
    schema = psycopg.connect(url, options="-c search_path=pg_catalog,public -c seatrial.x=1", autocommit=True)
    plain = psycopg.connect(url, autocommit=True)
    with schema, plain:
        for _ in range(2):
            assert schema.execute("SHOW search_path").fetchone() == ("pg_catalog,public",)
            assert plain.execute("SHOW search_path").fetchone() == ('"$user", public',)
            with pytest.raises(psycopg.errors.DivisionByZero):
                schema.execute("SELECT 1 / 0")
            plain.execute("DISCARD ALL")
    assert sessions.end() == ()


def test_settings_of_one_connection_do_not_hold_for_another_after_a_rollback(sessions: Any, url: str) -> None:
    tenant = psycopg.connect(url, options="-c search_path=pg_catalog,public -c seatrial.x=1")
    plain = psycopg.connect(url)
    with tenant, plain:
        tenant.execute(INSERT, ("a",))
        tenant.commit()
        with pytest.raises(psycopg.errors.UniqueViolation):
            plain.execute(INSERT, ("a",))
        plain.rollback()
        assert plain.execute("SHOW search_path").fetchone() == ('"$user", public',)
        plain.rollback()
        assert tenant.execute("SHOW search_path").fetchone() == ("pg_catalog,public",)
    assert sessions.end() == ()


def test_settings_of_one_connection_do_not_hold_for_another_after_it_went_back_to_a_savepoint(
    sessions: Any, url: str
) -> None:
    tenant = psycopg.connect(url, options="-c search_path=pg_catalog,public")
    plain = psycopg.connect(url, autocommit=True)
    with tenant, plain:
        tenant.execute("SAVEPOINT mine")
        with pytest.raises(psycopg.errors.DivisionByZero):
            tenant.execute("SELECT 1 / 0")
        plain.execute("SELECT 1")
        tenant.execute("ROLLBACK TO SAVEPOINT mine")
        assert plain.execute("SHOW search_path").fetchone() == ('"$user", public',)
        assert tenant.execute("SHOW search_path").fetchone() == ("pg_catalog,public",)
    assert sessions.end() == ()


def test_a_failed_transaction_is_rolled_back_while_another_connection_reads(sessions: Any, url: str) -> None:
    with psycopg.connect(url) as one, psycopg.connect(url) as reader:
        one.execute(INSERT, ("a",))
        assert reader.execute(EMAILS).fetchall() == [("a",)]
        with pytest.raises(psycopg.errors.UndefinedTable):
            one.execute("SELECT * FROM nope")
        one.rollback()
        assert one.execute(EMAILS).fetchall() == []
        assert reader.execute(EMAILS).fetchall() == []
    assert sessions.end() == ()


def test_two_connections_of_one_thread_nest(sessions: Any, url: str) -> None:
    """An audit log on a connection of its own, while the request's transaction is open."""
    with psycopg.connect(url) as request:
        request.execute(INSERT, ("request",))
        with_psycopg(url, "log")
        request.execute(INSERT, ("request goes on",))
    assert emails(sessions) == ["log", "request", "request goes on"]
    assert sessions.end() == ()


def test_threads_take_turns(sessions: Any, url: str, monkeypatch: Any) -> None:
    sessions.end()
    monkeypatch.setattr("seatrial.sessions.wire.switchboard.NESTS_AFTER", 4.0)  # a machine may be busy
    sessions.begin(joined=True)
    start = threading.Barrier(4)

    def request(number: int) -> None:
        start.wait()
        for each in range(5):
            with closing(psycopg.connect(url)) as connection:
                connection.execute(INSERT, (f"{number}-{each}",))
                connection.execute(EMAILS)
                connection.rollback() if each % 2 else connection.commit()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(request, range(4)))
    assert emails(sessions) == [f"{number}-{each}" for number in range(4) for each in (0, 2, 4)]
    assert sessions.end() == ()


def test_transactions_that_end_crosswise_are_refused_and_told(sessions: Any, url: str, monkeypatch: Any) -> None:
    sessions.end()
    monkeypatch.setattr("seatrial.sessions.wire.switchboard.PATIENCE", 0.3)
    sessions.begin(joined=True)
    with closing(psycopg.connect(url)) as first, closing(psycopg.connect(url)) as second:
        first.execute(INSERT, ("first",))
        second.execute(INSERT, ("second",))
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="did not end"):
            first.commit()
    assert any("did not end" in complaint for complaint in sessions.end())


def test_who_is_in_a_transaction_when_the_test_ends_is_disconnected_and_told_why(sessions: Any, url: str) -> None:
    with closing(psycopg.connect(url)) as late:
        late.execute(INSERT, ("late",))
        sessions.end()
        with pytest.raises(psycopg.OperationalError, match=r"test that is over|closed"):
            late.execute("SELECT 1")


def test_a_statement_that_still_runs_when_the_test_ends_is_cancelled_and_told(sessions: Any, url: str) -> None:
    late = psycopg.connect(url, autocommit=True)

    def work() -> None:
        with pytest.raises(psycopg.Error):
            late.execute("SELECT pg_sleep(30)")

    thread = threading.Thread(target=work)
    thread.start()
    while not sessions._board._sending():
        time.sleep(0.001)
    before = time.monotonic()
    (complaint,) = sessions.end()
    assert time.monotonic() < before + 10
    thread.join()
    late.close()
    assert "still running" in complaint


def test_a_client_that_is_gone_in_mid_copy_takes_only_its_own_rows_along(sessions: Any, url: str) -> None:
    with_psycopg(url, "before")
    gone = psycopg.connect(url)
    with gone.cursor() as cursor:
        copy = cursor.copy("COPY users (email) FROM STDIN").__enter__()
        copy.write_row(("gone",))
        gone.pgconn.finish()
    assert emails(sessions) == ["before"]
    assert sessions.end() == ()


def test_what_begins_and_ends_a_transaction_can_be_prepared(sessions: Any, url: str) -> None:
    async def work() -> None:
        connection = await asyncpg.connect(url)
        for text in ("BEGIN", "ROLLBACK"):
            statement = await connection.prepare(text)
            assert statement.get_parameters() == statement.get_attributes() == ()
            await statement.fetch()
            assert connection.is_in_transaction() == (text == "BEGIN")
        await connection.close()

    asyncio.run(work())
    assert sessions.end() == ()


def test_a_statement_can_be_cancelled(sessions: Any, url: str) -> None:
    async def work() -> None:
        connection = await asyncpg.connect(url)
        with pytest.raises(TimeoutError):
            await connection.execute("SELECT pg_sleep(30)", timeout=0.2)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()

    asyncio.run(work())
    assert sessions.end() == ()


def test_after_the_server_has_ended_the_connection_the_next_test_has_another(
    idle: Any, url: str, copy: RealCopy
) -> None:
    idle.begin(joined=True)
    pid = idle.session().execute("SELECT pg_backend_pid()").fetchone()[0]
    assert pid in idle.backends()
    with idle._past(), psycopg.connect(url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
    with pytest.raises(psycopg.Error):
        idle.session().execute("SELECT 1")
    with pytest.raises(Exception, match="closed"):
        idle.end()
    idle.begin(joined=True)
    with_psycopg(url, "a")
    assert emails(idle) == ["a"]
    assert idle.end() == ()
    assert copy.emails() == []


def test_what_a_wider_fixture_set_on_the_connection_holds_in_joined_tests(idle: Any) -> None:
    db = idle.session()
    db.row_factory = psycopg.rows.dict_row
    idle.settle("module")
    for joined in (True, False, True):
        idle.begin(joined=joined)
        assert idle.session() is db
        assert db.execute("SELECT 1 AS one").fetchone() == {"one": 1}
        idle.end()
