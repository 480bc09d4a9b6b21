"""Several services in one run: by socket and without one, what goes wrong in them, and nothing left running."""

from __future__ import annotations

import pytest

SHOP = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["."]
        filterwarnings = ["error"]

        [tool.seatrial.services.shop]
        app = "shop:app"
        run = "thread"
        env = { STOCK_URL = "{services.stock}" }

        [tool.seatrial.services.stock]
        app = "stock:app"
        run = "thread"
        resources = ["db"]

        [tool.seatrial.resources.db]
        kind = "sqlite"
        schema = "stock:Base"
        override = "stock:get_db"
        """,
    "shop.py": """
        import asyncio, json, os, threading, urllib.request
        import httpx
        from contextlib import asynccontextmanager
        from fastapi import FastAPI
        from fastapi.responses import StreamingResponse

        started = []

        @asynccontextmanager
        async def lifespan(app):
            started.append(asyncio.get_running_loop())
            yield

        app = FastAPI(lifespan=lifespan)
        left = threading.Event()
        stock = os.environ["STOCK_URL"]

        @app.post("/by-httpx")
        async def by_httpx() -> int:
            async with httpx.AsyncClient(base_url=stock) as client:
                return (await client.post("/items")).json()

        @app.post("/by-urllib")
        def by_urllib() -> int:
            request = urllib.request.Request(f"{stock}/items", method="POST")
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)

        @app.get("/broken")
        async def broken():
            raise LookupError("no such lamp")

        @app.get("/of-stock")
        async def of_stock() -> int:
            async with httpx.AsyncClient(base_url=stock) as client:
                return (await client.get("/broken")).status_code

        @app.get("/events")
        async def events():
            async def endless():
                try:
                    yield "data: first\\n\\n"
                    await asyncio.sleep(600)
                finally:
                    left.set()
            return StreamingResponse(endless(), media_type="text/event-stream")
        """,
    "stock.py": """
        import os
        from typing import Annotated
        from fastapi import Depends, FastAPI
        from sqlalchemy import create_engine
        from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

        engine = create_engine(os.environ["DATABASE_URL"])

        class Base(DeclarativeBase):
            pass

        class Item(Base):
            __tablename__ = "item"
            id: Mapped[int] = mapped_column(primary_key=True)

        def get_db():
            with Session(engine) as session:
                yield session

        app = FastAPI()

        @app.post("/items")
        def create(db: Annotated[Session, Depends(get_db)]) -> int:
            item = Item()
            db.add(item)
            db.commit()
            return item.id

        @app.get("/broken")
        def broken():
            raise ValueError("no such shelf")
        """,
    "test_shop.py": """
        import urllib.request
        import pytest
        import shop as module
        from stock import Item

        @pytest.mark.parametrize("number", range(2))
        def test_what_each_service_commits_is_undone(shop, db, exchanges, number):
            assert shop.post("/by-httpx").json() == 1
            assert shop.post("/by-urllib").json() == 2
            assert db.query(Item).count() == 2
            assert [str(each) for each in exchanges] == [
                "test -> shop: POST /by-httpx 200",
                "shop -> stock: POST /items 200",
                "test -> shop: POST /by-urllib 200",
                "shop -> stock: POST /items 200",
            ]
            assert len(module.started) == 1

        def test_another_program_reaches_it_where_the_test_s_client_does(shop):
            with urllib.request.urlopen(f"{shop.base_url}/docs") as answer:
                assert answer.status == 200

        def test_a_stream_comes_as_it_is_produced_and_the_app_sees_who_leaves(shop):
            module.left.clear()
            with shop.stream("GET", "/events") as response:
                assert next(response.iter_lines()) == "data: first"
            assert module.left.wait(20)

        def test_what_a_service_raises_is_a_500(shop):
            assert shop.get("/broken").status_code == 500
            assert shop.get("/of-stock").json() == 500
        """,
    "test_fails.py": """
        def test_it(shop):
            shop.get("/broken")
            shop.get("/of-stock")
            raise AssertionError

        def test_leaves_a_stream_open(shop):
            shop.send(shop.build_request("GET", "/events"), stream=True)
        """,
}


@pytest.mark.parametrize("run", ["thread", "inline"])
def test_services_of_this_process_answer_on_sockets_and_without(project, run):
    files = {**SHOP, "pyproject.toml": SHOP["pyproject.toml"].replace('run = "thread"', f'run = "{run}"')}
    tests = ["test_shop.py"]
    if run == "inline":  # an exception of the service that the test itself calls is raised, and there is no address
        tests += ["-k", "not raises and not another_program"]
    outcome = project.write(files).pytest("-q", *tests)
    assert outcome.counts()["passed"] == (5 if run == "thread" else 3), outcome.text
    assert outcome.status == 0, outcome.text


def test_a_failure_shows_what_services_in_threads_raised_and_a_stream_that_is_left_open_is_named(project):
    outcome = project.write(SHOP).pytest("-q", "test_fails.py")
    assert outcome.counts() == {"failed": 1, "passed": 1, "error": 1}, outcome.text
    for told in (
        'raise LookupError("no such lamp")',
        'raise ValueError("no such shelf")',
        "test -> shop: GET /broken 500 and LookupError: no such lamp",
        "The test ended while the app still answered: GET /events",
    ):
        assert told in outcome.text, outcome.text


WAITS = """
    import os, time
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from pathlib import Path

    Path(os.environ["MINE"]).touch()
    while not Path(os.environ["OTHERS"]).exists():
        time.sleep(0.01)
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), BaseHTTPRequestHandler).serve_forever()
    """


def test_processes_that_need_nothing_of_each_other_start_side_by_side(project):
    """Each of these gets ready only when the other has begun: one after the other neither would."""
    table = "[services.{}]\ncmd = 'python waits.py'\nenv = {{ MINE = '{}', OTHERS = '{}' }}\n"
    project.write(
        {
            "seatrial.toml": table.format("one", "1", "2") + table.format("two", "2", "1"),
            "waits.py": WAITS,
            "test_it.py": "def test_it(one, two):\n    assert one.get('/').status_code == two.get('/').status_code == 501\n",
        }
    )
    outcome = project.pytest("-q")
    assert outcome.counts() == {"passed": 1}, outcome.text


MAILS = {
    **SHOP,
    "pyproject.toml": SHOP["pyproject.toml"]
    + """
        [tool.seatrial.services.mails]
        app = "mails:app"
        """,
    "stock.py": SHOP["stock.py"].replace('os.environ["DATABASE_URL"]', '"sqlite:///elsewhere.db"'),
    "mails.py": """
        import os
        from flask import Flask
        from sqlalchemy import create_engine, text

        app = Flask("mails")
        engine = create_engine(os.environ["DATABASE_URL"])

        @app.post("/items")
        def create():
            with engine.begin() as connection:
                connection.execute(text("insert into item default values"))
            return {}
        """,
    "test_mails.py": """
        import httpx, os
        import pytest
        from stock import Item

        @pytest.mark.parametrize("number", range(2))
        def test_one_of_another_framework_reaches_the_database_by_its_url(mails, db, number):
            assert mails.post("/items").status_code == 200
            assert db.query(Item).count() == 1
        """,
    "test_alone.py": """
        import httpx, os, pytest

        def test_a_service_that_does_not_run_is_not_there(mails):
            with pytest.raises(httpx.ConnectError, match="stock does not run in this test"):
                httpx.get(os.environ["STOCK_URL"])
        """,
}


def test_the_override_of_one_service_is_not_asked_of_one_that_can_t_have_it(project):
    outcome = project.write(MAILS).pytest("-q", "test_mails.py")
    assert outcome.counts() == {"passed": 2}, outcome.text


def test_who_calls_a_service_that_does_not_run_in_this_test_finds_nobody_there(project):
    files = {**MAILS, "pyproject.toml": MAILS["pyproject.toml"].replace('run = "thread"', "")}
    outcome = project.write(files).pytest("-q", "test_alone.py")
    assert outcome.counts() == {"passed": 1}, outcome.text


def test_an_override_that_no_service_can_have_is_an_error(project):
    config = (
        MAILS["pyproject.toml"].split("[tool.seatrial.services.shop]")[0]
        + MAILS["pyproject.toml"].split('resources = ["db"]')[1]
    )
    outcome = project.write({**MAILS, "pyproject.toml": config}).pytest("-q", "test_mails.py")
    assert outcome.counts() == {"error": 2}, outcome.text
    assert "can't override get_db" in outcome.text


SHELVES = {
    "seatrial.toml": """
        [services.one]
        cmd = "python shelf.py"
        resources = ["first"]
        [services.two]
        cmd = "python shelf.py"
        resources = ["second"]
        [resources.first]
        kind = "sqlite"
        schema = "python migrate.py"
        inputs = ["migrate.py"]
        [resources.second]
        kind = "sqlite"
        schema = "python migrate.py"
        inputs = ["migrate.py"]
        """,
    "migrate.py": """
        import os, sqlite3
        sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("sqlite:///")).execute("create table items (id integer)")
        """,
    "shelf.py": """
        import os, sqlite3
        from http.server import BaseHTTPRequestHandler, HTTPServer

        class Shelf(BaseHTTPRequestHandler):
            def do_GET(self):
                with sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("sqlite:///")) as db:
                    db.execute("insert into items values (1)")
                    number = db.execute("select count(*) from items").fetchone()[0]
                self.send_response(200)
                self.end_headers()
                self.wfile.write(str(number).encode())

        HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Shelf).serve_forever()
        """,
    "test_shelves.py": """
        import os, pytest

        @pytest.mark.parametrize("attempt", range(2))
        def test_each_has_its_own(one, two, attempt):
            assert [one.get("/").text, two.get("/").text, one.get("/").text] == ["1", "1", "2"]
            assert "DATABASE_URL" not in os.environ
        """,
    "test_midst.py": """
        import pytest

        @pytest.mark.parametrize("attempt", range(2))
        def test_asks_in_its_midst(request, attempt):
            assert request.getfixturevalue("one").get("/").text == "1"
            assert request.getfixturevalue("two").get("/").text == "1"
        """,
}


@pytest.mark.parametrize("tests", ["test_shelves.py", "test_midst.py"])
def test_a_command_fills_the_database_of_a_service_though_its_variable_is_only_set_for_that_one(project, tests):
    outcome = project.write(SHELVES).pytest("-q", tests)
    assert outcome.counts() == {"passed": 2}, outcome.text


def test_a_service_whose_name_ends_as_that_of_a_client_does_not_have_the_app_imported(project):
    config = """
        app = "front:app"
        [services.mail_client]
        app = "mail:app"
        """
    app = "from fastapi import FastAPI\n\napp = FastAPI()\n"
    test = """
        import sys

        def test_of_the_service_alone(mail_client):
            assert mail_client.get("/nowhere").status_code == 404
            assert "front" not in sys.modules
        """
    outcome = project.write({"seatrial.toml": config, "front.py": app, "mail.py": app, "test_mail.py": test})
    assert outcome.pytest("-q", "test_mail.py").counts() == {"passed": 1}
