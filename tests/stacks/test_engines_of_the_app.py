"""Rollback with engines that no `override` names: Flask-SQLAlchemy's own, and those of modules."""

from __future__ import annotations

import pytest

PROJECT = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["."]
        filterwarnings = ["error"]

        [tool.seatrial]
        app = "shop:create_app()"

        [tool.seatrial.resources.db]
        kind = "postgres"
        schema = "models:Base"
        isolation = "rollback"
        """,
    "models.py": """
        from sqlalchemy import ForeignKey
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

        class Base(DeclarativeBase):
            pass

        class Shelf(Base):
            __tablename__ = "shelf"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(unique=True)

        class Book(Base):
            __tablename__ = "book"
            id: Mapped[int] = mapped_column(primary_key=True)
            shelf: Mapped[int] = mapped_column(ForeignKey("shelf.id", deferrable=True, initially="DEFERRED"))
        """,
    "shop.py": """
        import os
        from flask import Flask
        from flask_sqlalchemy import SQLAlchemy
        from sqlalchemy import func, select
        from sqlalchemy.exc import IntegrityError
        from models import Base, Book, Shelf

        db = SQLAlchemy(model_class=Base)

        def create_app():
            app = Flask(__name__)
            url = os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+DRIVER:")
            app.config["SQLALCHEMY_DATABASE_URI"] = url
            db.init_app(app)

            @app.post("/shelves/<name>")
            def create(name):
                db.session.add(shelf := Shelf(name=name))
                try:
                    db.session.commit()
                except IntegrityError:
                    db.session.rollback()
                    return {"taken": name}, 409
                return {"id": shelf.id}

            @app.post("/books/<int:shelf>")
            def put(shelf):
                db.session.add(Book(shelf=shelf))
                try:
                    db.session.commit()
                except IntegrityError:
                    db.session.rollback()
                    return {"missing": shelf}, 409
                return {}

            @app.get("/shelves")
            def count():
                return {"shelves": db.session.scalar(select(func.count(Shelf.id)))}

            return app
        """,
    "test_shop.py": """
        import pytest
        from sqlalchemy import select
        from models import Book, Shelf

        @pytest.mark.parametrize("again", range(2))
        def test_what_the_app_commits_is_seen_and_gone_in_the_next_test(client, db, again):
            assert client.get("/shelves").json() == {"shelves": 0}
            assert client.post("/shelves/poems").status_code == 200
            assert db.scalars(select(Shelf.name)).all() == ["poems"]
            assert client.get("/shelves").json() == {"shelves": 1}

        @pytest.mark.parametrize("again", range(2))
        def test_what_the_test_commits_is_seen_by_the_app(db, client, again):
            db.add(Shelf(name="plays"))
            db.commit()
            assert client.get("/shelves").json() == {"shelves": 1}

        def test_an_expected_error_poisons_nothing(client, db):
            assert client.post("/shelves/poems").status_code == 200
            assert client.post("/shelves/poems").status_code == 409
            assert client.post("/books/7").json() == {"missing": 7}       # a deferred constraint
            db.add(Shelf(id=7, name="maps"))
            db.commit()
            assert client.post("/books/7").status_code == 200
            assert db.scalars(select(Book.shelf)).all() == [7]
            assert client.get("/shelves").json() == {"shelves": 2}

        @pytest.mark.seatrial(db="reset")
        def test_a_reset_between_them_sees_the_baseline(client, db):
            assert client.post("/shelves/poems").status_code == 200
            assert db.scalars(select(Shelf.name)).all() == ["poems"]

        def test_after_it(client, db):
            assert client.get("/shelves").json() == {"shelves": 0}
        """,
}


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_flask_sqlalchemys_engine_joins_by_whichever_driver(project, driver):
    """The test's session starts as one of psycopg, and takes over the app's driver."""
    project.write({name: text.replace("DRIVER", driver) for name, text in PROJECT.items()})
    outcome = project.pytest("-v", "--seatrial-audit")
    assert outcome.counts() == {"passed": 7}, outcome.text


def test_the_engine_of_a_module_joins_where_nothing_names_it(project):
    """A service of two engines on one URL, with no override, SQLite as well as PostgreSQL."""
    pyproject = PROJECT["pyproject.toml"].replace("shop:create_app()", "service:app")
    second = """
        [tool.seatrial.resources.small]
        kind = "sqlite"
        schema = "models:Base"
        isolation = "rollback"
        env = { SMALL_URL = "{url}" }
        """
    project.write(
        {
            "pyproject.toml": pyproject + second,
            "models.py": PROJECT["models.py"],
            "service.py": """
            import os
            from fastapi import FastAPI
            from sqlalchemy import create_engine, func, select
            from sqlalchemy.orm import Session, scoped_session, sessionmaker
            from models import Shelf

            URL = os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:")
            writing, reading = create_engine(URL), create_engine(URL)
            small = create_engine(os.environ["SMALL_URL"])
            current = scoped_session(sessionmaker(writing))
            app = FastAPI()

            @app.post("/shelves/{name}")
            def create(name: str):
                current.add(Shelf(name=name))
                current.commit()
                current.remove()
                with Session(small) as session:
                    session.add(Shelf(name=name))
                    session.commit()

            @app.get("/shelves")
            def count():
                with reading.connect() as connection, small.connect() as other:
                    return [each.scalar(select(func.count(Shelf.id))) for each in (connection, other)]
            """,
            "test_service.py": """
            import pytest
            from sqlalchemy import select
            from models import Shelf

            @pytest.mark.parametrize("again", range(2))
            def test_shelves(client, db, small, again):
                assert client.get("/shelves").json() == [0, 0]
                assert client.post("/shelves/poems").status_code == 200
                assert client.get("/shelves").json() == [1, 1]
                for session in (db, small):
                    assert session.scalars(select(Shelf.name)).all() == ["poems"]
                    session.add(Shelf(name="of the test"))
                    session.commit()
                assert client.get("/shelves").json() == [2, 2]
            """,
        }
    )
    outcome = project.pytest("-v", "--seatrial-audit")
    assert outcome.counts() == {"passed": 2}, outcome.text
