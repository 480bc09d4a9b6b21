"""`seatrial init` proposes a service for each of several apps that call each other, and guesses nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from seatrial.config.find import find
from seatrial.config.keys import KindFacts, Known
from seatrial.config.load import load

KNOWN = Known(
    kinds={"postgres": KindFacts(env="DATABASE_URL"), "sqlite": KindFacts(env="DATABASE_URL", serverless=True)},
    providers=("embedded",),
)
APP = "from fastapi import FastAPI\napp = FastAPI()\n"
ORDERS = """
    import os
    import httpx
    from fastapi import FastAPI

    app = FastAPI()
    stock = httpx.AsyncClient(base_url=os.environ["STOCK_URL"])

    @app.get("/lamps")
    async def lamps() -> str:
        return f"{(await stock.get('/lamp')).text} lamps are left"
"""
STOCK = """
    import os
    from fastapi import Depends, FastAPI
    from sqlalchemy import create_engine, func, select
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

    engine = create_engine(os.environ.get("DATABASE_URL", "sqlite:///stock.db"))
    app = FastAPI()

    class Base(DeclarativeBase):
        pass

    class Lamp(Base):
        __tablename__ = "lamps"
        id: Mapped[int] = mapped_column(primary_key=True)

    def get_db():
        with Session(engine) as session:
            yield session

    @app.get("/lamp")
    def lamp(db: Session = Depends(get_db)) -> int:
        return db.scalar(select(func.count(Lamp.id)))
"""
TWO = {"orders/__init__.py": "", "orders/main.py": ORDERS, "stock/__init__.py": "", "stock/main.py": STOCK}


def tables(said):
    return {one["key"]: one["value"] for one in said["values"] if one["key"] == "app" or "services." in one["key"]}


def unclear(said):
    return [one["text"] for one in said["notes"] if "apps in folders of their own" in one["text"]]


def test_two_apps_one_of_which_reads_the_address_of_the_other_are_two_services(shape):
    said = shape.files(TWO).init()
    assert said["text"].startswith(
        '[services.orders]\napp = "orders.main:app"\nenv = { STOCK_URL = "{services.stock}" }\n'
        '\n[services.stock]\napp = "stock.main:app"\n\n[resources.db]\n'
    )
    [env] = [one for one in said["values"] if one["key"] == "services.orders.env"]
    assert env["from"] == "orders/main.py:6"
    assert env["why"] == "STOCK_URL is read by os.environ; it is named after stock"
    assert (said["missing"], unclear(said)) == ([], [])
    config = load(find(shape.folder), environ={}, known=KNOWN)
    assert [(one.name, one.needs) for one in config.services] == [("orders", ("stock",)), ("stock", ())]


def test_the_tables_stand_in_a_project_s_pyproject_and_say_why(shape):
    shape.files({**TWO, "pyproject.toml": "[project]\nname = 'shop'\nversion = '1'\n"})
    status, out, _ = shape.run("init", str(shape.folder))
    assert status == 0
    assert "[tool.seatrial.services.stock]" in (shape.folder / "pyproject.toml").read_text()
    assert "services.stock.app stock/main.py:7: app = FastAPI(...)" in out
    assert len(load(find(shape.folder), environ={}, known=KNOWN).services) == 2


def test_what_is_written_works_in_a_test_run_and_for_the_doctor(shape):
    test = """
        from stock.main import Lamp

        def test_the_orders_ask_the_stock(orders, db):
            db.add(Lamp())
            db.commit()
            assert orders.get("/lamps").json() == "1 lamps are left"

        def test_each_test_has_its_own_stock(orders, stock):
            assert stock.get("/lamp").json() == 0
            assert orders.get("/lamps").json() == "0 lamps are left"
    """
    shape.files({**TWO, "requirements.txt": "fastapi\nsqlalchemy\n", "tests/test_orders.py": test}).init()
    assert 'kind = "sqlite"' in (shape.folder / "seatrial.toml").read_text()
    for command in (["seatrial", "doctor"], ["pytest", "-q", "-p", "no:cacheprovider"]):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=shape.folder, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_settings_with_a_prefix_and_folders_called_services_are_understood(shape):
    said = shape.files(
        {
            "services/orders_api/main.py": APP,
            "services/orders_api/settings.py": """
                from pydantic_settings import BaseSettings, SettingsConfigDict

                class Settings(BaseSettings):
                    model_config = SettingsConfigDict(env_prefix="ORDERS_")
                    billing_base_url: str = "http://billing:8000/v1"
            """,
            "services/billing-service/app.py": "from flask import Flask\ndef create_app():\n    return Flask(__name__)\n",
        }
    ).init()
    assert tables(said)["services.orders_api.env"] == {"ORDERS_BILLING_BASE_URL": "{services.billing_service}/v1"}


def test_the_same_variable_of_two_services_is_led_to_one(shape):
    asks = f"import os\n{APP}url = os.getenv('STOCK_SERVICE_URL')\n"
    said = shape.files({"src/orders/main.py": asks, "src/billing/main.py": asks, "src/stock/main.py": APP}).init()
    assert tables(said) == {
        "services.billing.app": "billing.main:app",
        "services.billing.env": {"STOCK_SERVICE_URL": "{services.stock}"},
        "services.orders.app": "orders.main:app",
        "services.orders.env": {"STOCK_SERVICE_URL": "{services.stock}"},
        "services.stock.app": "stock.main:app",
    }
    assert sum("write pythonpath" in one["text"] for one in said["notes"]) == 3


def test_what_is_to_be_known_of_one_framework_is_told_whichever_service_uses_it(shape):
    django = "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
    asks = f"import os\n{APP}url = os.getenv('LIBRARY_URL')\n"
    said = shape.files({"api/main.py": asks, "library/asgi.py": django}).init()
    assert tables(said)["services.library.app"] == "library.asgi:application"
    assert [one["about"] for one in said["notes"] if "pytest-django" in one["text"]] == ["library/asgi.py:2"]


def test_a_name_that_a_fixture_of_the_project_has_is_not_taken(shape):
    conftest = "import pytest\n@pytest.fixture\ndef stock():\n    return 3\n"
    said = shape.files({**TWO, "tests/conftest.py": conftest}).init()
    assert tables(said)["services.orders.env"] == {"STOCK_URL": "{services.stock_service}"}


def test_a_folder_that_is_called_as_the_project_s_own_app_is_no_service_of_that_name(shape):
    files = {name.replace("orders/", "app/"): text for name, text in TWO.items()}
    said = shape.files(files).init()
    assert tables(said)["services.app_service.app"] == "app.main:app"


@pytest.mark.parametrize(
    ("orders", "stock", "reason"),
    [
        (APP, APP, "none reads a variable that is named after another"),
        (f"import os\n{APP}url = os.environ['STOCK_DATABASE_URL']\n", APP, "none reads a variable"),
        (f"import os\n{APP}url = os.environ['LIVESTOCK_URL']\n", APP, "none reads a variable"),
        (f"import os\n{APP}url = os.environ.get('STOCK_ADDRESS', 'stock:80')\n", APP, "none reads a variable"),
        (f"import os\n{APP}url = os.environ['ORDERS_URL']\n", APP, "none reads a variable"),
        (
            f"import os\n{APP}url = os.environ['STOCK_URL']\n",
            f"import os\n{APP}url = os.environ['ORDERS_URL']\n",
            "they need each other: ",
        ),
    ],
)
def test_what_is_not_clear_is_told_in_one_line_and_the_app_is_proposed_as_ever(shape, orders, stock, reason):
    said = shape.files({"orders/main.py": orders, "stock/main.py": stock}).init()
    assert tables(said) == {"app": "orders.main:app"}
    [text] = unclear(said)
    assert reason in text
    assert "orders.main:app (orders/main.py), stock.main:app (stock/main.py)" in text
    assert "\n" not in text
    assert [one["value"] for one in said["others"]["app"]] == ["stock.main:app"]


def test_two_apps_that_are_imported_by_one_name_are_not_taken_for_one(shape):
    asks = f"import os\nfrom app import views\n{APP}url = os.getenv('STOCK_URL')\n"
    said = shape.files(
        {
            "orders/app/main.py": asks,
            "orders/app/views.py": "",
            "stock/app/main.py": asks.replace("STOCK", "OTHER"),
            "stock/app/views.py": "",
        }
    ).init()
    assert tables(said) == {"app": "app.main:app"}
    [text] = unclear(said)
    assert "2 of them would have one import path, app.main:app" in text


@pytest.mark.parametrize(
    "files",
    [
        {"shop/main.py": f"import os\n{APP}url = os.environ['ADMIN_URL']\n", "shop/admin/main.py": APP},
        {
            "shop/main.py": APP,
            "shop/admin/main.py": f"import os\n{APP}url = os.environ['STOCK_URL']\n",
            "shop/stock/main.py": APP,
        },
        {
            "shop/main.py": f"import os\nimport stock.main\n{APP}app.mount('/s', stock.main.app)\nos.getenv('STOCK_URL')\n",
            "stock/main.py": APP,
        },
        {
            "shop/main.py": f"import os\nfrom stock.main import make\n{APP}app.mount('/', make())\nos.getenv('STOCK_URL')",
            "stock/main.py": "from fastapi import FastAPI\ndef make():\n    return FastAPI()\n",
        },
        {"shop/main.py": f"import os\n{APP}url = os.environ['STOCK_URL']\n", "examples/stock/main.py": APP},
        {
            "shop/main.py": APP,
            "shop/wsgi.py": "from shop.main import app\nfrom flask import Flask\nother = Flask('x')\n",
        },
    ],
)
def test_apps_within_each_other_or_beside_the_product_are_no_services(shape, files):
    said = shape.files(files).init()
    assert tables(said) == {"app": "shop.main:app"}
    assert unclear(said) == []
