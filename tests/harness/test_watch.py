"""What one test asked: who asked whom, in which order, and which statements that caused."""

from __future__ import annotations

import asyncio
import threading

import pytest

from seatrial.apps.inprocess import InProcess
from seatrial.apps.observe.seen import Seen
from seatrial.events import Disturbed, Event, Exchange, Statement
from seatrial.harness.asked.seen import Exchanges, Statements, repetitions
from seatrial.harness.asked.watch import MOMENT, Watch


class Here:
    def nearest(self) -> str:
        return "shop/orders.py:41"


@pytest.fixture
def watch():
    watch = Watch({"db_1": "db"})
    watch.begin("test_it")
    return watch


def answering(work):
    """An ASGI app that does `work` and answers with an empty 200."""

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        await work()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


def test_an_app_that_asks_another_is_the_caller_also_from_a_thread(watch):
    async def nothing():
        watch.statement("db_1", "select 2", Here())

    stock = InProcess(answering(nothing), "asgi", witness=watch.witness("stock"))
    inner = stock.client()

    async def ask():
        watch.statement("db_1", "select 1", Here())
        await asyncio.to_thread(inner.get, "/levels")

    orders = InProcess(answering(ask), "asgi", witness=watch.witness("orders"))
    orders.client().get("/orders")
    assert [(each.number, each.caller, each.resource, each.path) for each in watch.exchanges] == [
        (1, "test", "orders", "/orders"),
        (2, "orders", "stock", "/levels"),
    ]
    assert [[statement.sql for statement in each.statements] for each in watch.exchanges] == [
        ["select 1"],
        ["select 2"],
    ]
    orders.close()
    stock.close()


def test_the_next_request_in_the_same_thread_is_the_tests_again(watch):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b""]

    client = InProcess(app, "wsgi", witness=watch.witness("app")).client()
    client.get("/one")
    client.get("/two")
    watch.statement("db_1", "select 1", Here())
    assert [each.caller for each in watch.exchanges] == ["test", "test"]
    assert [each.exchange for each in watch.statements] == [0]


def test_who_called_by_a_proxy_is_forgotten_when_its_call_is_over(watch):
    def called() -> str:
        witness = watch.witness("stock")
        witness.ended(witness.begins(Seen("GET", "/levels/3")))
        return watch.exchanges[-1].caller

    with watch.on_behalf_of("orders"):
        assert called() == "orders"
    assert called() == "test"


def test_a_database_that_is_not_the_runs_and_a_time_between_tests_are_not_seen(watch):
    watch.statement("somebody_elses", "select 1", Here())
    watch.end()
    watch.statement("db_1", "select 1", Here())
    assert watch.opened("app", Seen("GET", "/")) is None
    watch.begin("the next")
    assert (list(watch.statements), list(watch.exchanges)) == ([], [])


def test_what_ends_after_its_test_is_not_the_next_tests(watch):
    begun, go_on = threading.Event(), threading.Event()

    async def wait():
        begun.set()
        await asyncio.to_thread(go_on.wait)

    app = InProcess(answering(wait), "asgi", witness=watch.witness("app"))
    client = app.client()
    thread = threading.Thread(target=client.get, args=("/slow",))
    thread.start()
    begun.wait()
    watch.end()
    watch.begin("the next")
    go_on.set()
    thread.join()
    assert list(watch.exchanges) == []
    app.close()


def test_an_exchange_is_listed_as_soon_as_its_client_has_the_answer_and_whole_if_the_app_returns_soon(watch):
    """A live app's client goes on while the app commits, and while its background tasks run."""
    answered, go_on = threading.Event(), threading.Event()

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        answered.set()
        if scope["path"] == "/commits":
            await asyncio.sleep(MOMENT / 10)
            watch.statement("db_1", "commit", Here())
        else:
            await asyncio.to_thread(go_on.wait)

    running = InProcess(app, "asgi", witness=watch.witness("app"))
    live = running.live()
    assert live.client.get("/commits").status_code == 201
    assert [each.sql for each in watch.statements] == ["commit"]
    assert [(each.path, len(each.statements)) for each in watch.exchanges] == [("/commits", 1)]

    answered.clear()
    live.client.get("/goes-on")
    assert answered.wait(10)
    assert [(each.path, each.status, each.error) for each in watch.exchanges][1:] == [("/goes-on", 201, "")]
    assert watch._record.open[2].late, "it is not waited for again"
    go_on.set()
    running.close()


def test_exchanges_read_like_what_happened():
    made = [
        exchange(1, "test", "orders", "POST", "/orders", 201, statements=(statement("insert", 1),)),
        exchange(2, "orders", "stock", "GET", "/levels/3", 0, error="ValueError: no"),
        exchange(3, "test", "stock", "GET", "/levels/3", 200),
        exchange(4, "orders", "mails", "POST", "/mails", 202),
    ]
    exchanges = Exchanges(lambda: made)
    assert [str(each) for each in exchanges] == [
        "test -> orders: POST /orders 201",
        "orders -> stock: GET /levels/3 ValueError: no",
        "test -> stock: GET /levels/3 200",
        "orders -> mails: POST /mails 202",
    ]
    assert exchanges.between("orders", "stock") == [made[1]]
    assert exchanges[-1] is made[3]
    assert "POST /orders 201 in 1.0 ms, 1 statement" in exchanges.describe()


def test_exchanges_and_statements_are_told_without_secrets():
    sent = [statement("alter role a password 'hunter22'", 1)] * 3
    made = [exchange(1, "test", "app", "GET", "/x", 200, query="token=hunter22&page=2", statements=tuple(sent))]
    exchanges = Exchanges(lambda: made)
    for told in (
        exchanges.describe(),
        repr(exchanges),
        repr(Statements("db", lambda: sent)),
        str(repetitions(sent)[0]),
    ):
        assert "***" in told
        assert "hunter22" not in told
    assert "page=2" in exchanges.describe()


def test_a_statement_that_one_line_repeats_in_one_exchange_is_flagged_with_the_line():
    sent = [statement("select  1", 1), statement("select  1", 1), statement("select  1", 2), statement("select 2", 1)]
    other = Statement(resource="other", sql="select 1", where="", exchange=1)
    statements = Statements("db", lambda: [*sent, other])
    assert len(statements) == 4
    assert [str(each) for each in statements.repeated] == ["2 times at shop/orders.py:41: select 1"]
    assert len(statements.of(exchange(1, "test", "app", "GET", "/", 200))) == 3


def test_statements_that_are_repeated_often_are_told_with_their_exchange():
    made = exchange(1, "test", "app", "GET", "/", 200, statements=(statement("select 1", 1),) * 20)
    assert "20 times at shop/orders.py:41: select 1" in Exchanges(lambda: [made]).describe()


def exchange(number, caller, answerer, method, path, status, **more) -> Exchange:
    return Exchange(
        test="test_it", number=number, caller=caller, resource=answerer, method=method, path=path, status=status,
        milliseconds=1.0, **more,
    )  # fmt: skip


def statement(sql: str, number: int) -> Statement:
    return Statement(resource="db", sql=sql, where="shop/orders.py:41", exchange=number)


def test_work_that_a_request_of_an_earlier_test_left_behind_disturbs_the_test_that_runs():
    """Told once for each such request and each test that it goes on in, with the test that began it."""
    told: list[Event] = []
    watch = Watch({"db_1": "db"}, told.append)
    step, done = threading.Semaphore(0), threading.Semaphore(0)

    async def work():
        async def goes_on():
            for number in range(4):
                await asyncio.to_thread(step.acquire)
                watch.statement("db_1", "select 1 -- disturbs nobody", Here())
                watch.statement("db_1", f"insert {number}", Here())
                done.release()

        tasks.append(asyncio.get_running_loop().create_task(goes_on()))

    def one_more():
        step.release()
        assert done.acquire(timeout=30)

    tasks: list[asyncio.Task[None]] = []
    app = InProcess(answering(work), "asgi", witness=watch.witness("app"))
    watch.begin("test_begins_it")
    app.client().post("/orders")
    one_more()
    watch.end()
    watch.begin("test_is_disturbed")
    one_more()
    one_more()
    watch.statement("db_1", "select 1", Here())
    watch.end()
    watch.begin("test_too")
    one_more()
    assert [(one.test, one.by, one.query) for one in told if isinstance(one, Disturbed)] == [
        ("test_is_disturbed", "POST /orders of test_begins_it", "insert 1"),
        ("test_too", "POST /orders of test_begins_it", "insert 3"),
    ]
