"""What goes wrong with an app, told within seconds in three parts; and what a live app leaves behind: nothing."""

from __future__ import annotations

import pytest

SERVICE = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["."]
        filterwarnings = ["error"]

        [tool.seatrial]
        app = "service:app"

        [tool.seatrial.resources.db]
        kind = "sqlite"
        schema = "service:Base"
        override = "service:get_db"
        """,
    "service.py": """
        import asyncio, os
        from contextlib import asynccontextmanager
        from typing import Annotated
        from fastapi import Depends, FastAPI
        from fastapi.responses import StreamingResponse
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
        def create(db: Annotated[Session, Depends(get_db)]):
            item = Item()
            db.add(item)
            db.commit()
            return item.id

        @app.get("/slow")
        async def slow():
            app.state.entered.set()
            await asyncio.sleep(60)

        @app.get("/events")
        async def events():
            async def endless():
                while True:
                    yield "data: x\\n\\n"
                    await asyncio.sleep(0.001)
            return StreamingResponse(endless())

        @asynccontextmanager
        async def lifespan(app):
            raise ConnectionError("no broker at localhost:5672")
            yield

        no_start = FastAPI(lifespan=lifespan)
        """,
    "broken.py": """
        import os
        app = os.environ["NO_SUCH_SETTING"]
        """,
    "test_live.py": """
        import threading, urllib.request
        import pytest
        from service import Item, app

        @pytest.mark.parametrize("number", range(2))
        def test_the_live_app_commits_and_the_next_test_starts_anew(live_app, client, db, number):
            assert live_app.client.post("/items").json() == 1
            assert client.post("/items").json() == 2
            assert db.query(Item).count() == 2

        def test_leaves_a_request_running(live_app):
            app.state.entered = threading.Event()
            url = f"{live_app}/slow"
            threading.Thread(target=lambda: pytest.raises(Exception, urllib.request.urlopen, url)).start()
            assert app.state.entered.wait(5)

        def test_leaves_a_stream_open(client):
            client.send(client.build_request("GET", "/events"), stream=True)

        def test_is_not_bothered_by_what_others_left(live_app, client, db):
            assert live_app.client.post("/items").json() == 1
            assert db.query(Item).count() == 1
        """,
    "test_client.py": """
        def test_one(client):
            pass

        def test_two(client):
            pass
        """,
}


def test_a_live_app_is_reset_like_the_app_in_process_and_what_still_runs_is_named(project):
    outcome = project.write(SERVICE).pytest("test_live.py", "-q")
    assert outcome.counts() == {"passed": 5, "error": 2}, outcome.text
    assert "still answered: GET /slow of live_app" in outcome.text
    assert "still answered: GET /events" in outcome.text
    assert outcome.text.count("fix: wait for each request") == 2


@pytest.mark.parametrize(
    ("app", "what"),
    [
        ("service:ap", 'fix: write "service:app"'),
        ("broken:app", "NO_SUCH_SETTING"),
        ("service:no_start", "The app did not start: ConnectionError: no broker at localhost:5672"),
    ],
)
def test_an_app_that_can_not_be_had_is_told_to_each_test_with_what_to_do(project, app, what):
    outcome = project.write(SERVICE).pytest("test_client.py", "-q", "--seatrial-set", f"app={app}")
    assert outcome.status == 1, outcome.text
    assert outcome.counts() == {"error": 2}, outcome.text
    assert what in outcome.text
    assert "fix: " in outcome.text


MIDST = """
    import pytest
    from service import Item

    def asked(request, name):
        return request.getfixturevalue(name)

    @pytest.mark.parametrize("name", ["client", "seatrial_live_app", "client"])
    def test_asks_in_its_midst(request, name):
        found = asked(request, name)
        client = getattr(found, "client", found)
        assert client.post("/items").json() == 1
        assert asked(request, "db").query(Item).count() == 1
"""


def test_a_client_may_first_be_asked_for_in_the_midst_of_a_test_as_the_steps_of_pytest_bdd_do(project) -> None:
    for isolation in ("reset", "rollback"):
        project.write({**SERVICE, "test_midst.py": MIDST})
        outcome = project.pytest("-q", "test_midst.py", SEATRIAL_DB_ISOLATION=isolation)
        assert outcome.counts() == {"passed": 3}, outcome.text
