"""A sync project has no greenlet: SQLAlchemy 2.1 installs it for its async half only."""

from __future__ import annotations

PROJECT = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["."]

        [tool.seatrial]
        app = "shop:app"

        [tool.seatrial.resources.db]
        kind = "postgres"
        schema = "shop:db"
        seed = "shop:seed"
        """,
    # What Python imports first of all: the module is not to be had in any process of the run.
    "absent/sitecustomize.py": """
        import sys
        sys.modules["greenlet"] = None
        """,
    "shop.py": """
        import os
        from flask import Flask
        from flask_sqlalchemy import SQLAlchemy
        from sqlalchemy.orm import Session

        db = SQLAlchemy()
        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:")

        class Order(db.Model):
            id = db.Column(db.Integer, primary_key=True)
            product = db.Column(db.String, nullable=False)

        def seed(session: Session):
            session.add(Order(product="seed"))

        db.init_app(app)

        @app.post("/orders/<product>")
        def create(product):
            db.session.add(order := Order(product=product))
            db.session.commit()
            return {"id": order.id}
        """,
    "test_shop.py": """
        import pytest
        from shop import Order

        MODES = [pytest.mark.seatrial(db=mode) for mode in ("reset", "clone")]

        @pytest.mark.parametrize("again", [pytest.param(n, marks=mark) for mark in MODES for n in range(2)])
        def test_orders(client, db, again):
            db.add(Order(product="of the test"))
            db.commit()
            assert client.post("/orders/lamp").json() == {"id": 3}
            assert [order.product for order in db.query(Order).order_by(Order.id)] == ["seed", "of the test", "lamp"]

        def test_greenlet_is_absent():
            with pytest.raises(ImportError):
                import greenlet
        """,
}


def test_a_sync_project_needs_no_greenlet_in_any_isolation(project):
    project.write(PROJECT)
    outcome = project.pytest("-q", PYTHONPATH=str(project.folder / "absent"))
    assert outcome.status == 0, outcome.text
    assert outcome.counts() == {"passed": 5}, outcome.text


def test_an_async_session_says_what_to_install(project):
    """The address that the app is given names an async driver."""
    env = 'env = { DATABASE_URL = "{url}", ASYNC_URL = "postgresql+asyncpg://{host}:{port}/{database}" }'
    project.write({**PROJECT, "pyproject.toml": PROJECT["pyproject.toml"] + f"\n        {env}\n"})
    project.write({"test_shop.py": "def test_it(db):\n    pass\n"})
    outcome = project.pytest("-q", PYTHONPATH=str(project.folder / "absent"))
    assert outcome.counts() == {"error": 1}, outcome.text
    assert "an AsyncSession of SQLAlchemy's, and greenlet is not installed" in outcome.text, outcome.text
    assert "fix: pip install 'sqlalchemy[asyncio]'" in outcome.text, outcome.text
