"""Products: the seeded shelf, and what may be put on it."""

from decimal import Decimal

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from shop.models import Product
from tests.factories import ANCHOR, LAMP, make_customer, make_order

SHELF = ["Anchor", "Bell", "Chart", "Lamp", "Rope, 1 m"]


def test_the_shelf_is_what_the_seed_put_there(client):
    assert [product["name"] for product in client.get("/products").json()] == SHELF


def test_what_is_sold_out_is_not_listed(client):
    make_order(client, make_customer(client), (LAMP, 1))

    assert "Lamp" not in [product["name"] for product in client.get("/products").json()]


def test_money_keeps_its_cents(client, db):
    response = client.post("/products", json={"sku": "PIN", "name": "Pin", "price": "0.10", "stock": 3})

    assert response.json()["price"] == "0.10"
    assert db.scalar(select(Product.price * 3).where(Product.sku == "PIN")) == Decimal("0.30")


@pytest.mark.parametrize("wrong", [{"price": "0"}, {"price": "-1"}, {"price": "0.001"}, {"stock": -1}, {"sku": ""}])
def test_a_wrong_product_is_refused(client, db, wrong):
    product = {"sku": "PIN", "name": "Pin", "price": "0.10", "stock": 3} | wrong

    assert client.post("/products", json=product).status_code == 422
    assert db.scalar(select(func.count()).select_from(Product)) == len(SHELF)


def test_a_sku_is_taken_once(client):
    assert client.post("/products", json={"sku": "BELL", "name": "Bell", "price": "1"}).status_code == 409


@pytest.mark.parametrize("change", [{"stock": -1}, {"price": Decimal(0)}])
def test_the_database_itself_refuses_nonsense(db, change):
    """What passes by the API (a script, a colleague with psql) meets the check constraints."""
    anchor = db.get_one(Product, ANCHOR)
    for name, value in change.items():
        setattr(anchor, name, value)

    with pytest.raises(IntegrityError, match="ck_products_"):
        db.commit()


def test_what_nobody_ordered_can_be_withdrawn(client, db):
    assert client.delete(f"/products/{LAMP}").status_code == 204
    assert db.get(Product, LAMP) is None


def test_what_somebody_ordered_stays(client, db):
    make_order(client, make_customer(client), (LAMP, 1))

    assert client.delete(f"/products/{LAMP}").status_code == 409
    assert db.get(Product, LAMP) is not None


def test_an_unknown_product_cannot_be_withdrawn(client):
    assert client.delete("/products/999").status_code == 404


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_the_shelf_is_full_again_for_every_test(db, attempt):
    """Each attempt empties it, for real."""
    products = db.scalars(select(Product)).all()
    assert [product.stock for product in sorted(products, key=lambda product: product.id)] == [3, 10, 100, 1, 5000]

    for product in products:
        db.delete(product)
    db.commit()

    assert db.scalar(select(func.count()).select_from(Product)) == 0
