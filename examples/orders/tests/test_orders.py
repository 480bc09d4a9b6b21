"""Orders: priced, taken from the stock, and placed whole or not at all."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import func, select, update

from shop.models import Order, OrderLine, Product
from tests.factories import ANCHOR, BELL, CHART, LAMP, ROPE, make_customer, make_order, order


def stock(db, product):
    return db.scalar(select(Product.stock).where(Product.id == product))


def test_place_and_retrieve_order(client, db):
    placed = make_order(client, make_customer(client), (BELL, 2), (ROPE, 30))

    assert placed["status"] == "placed"
    assert client.get(f"/orders/{placed['id']}").json() == placed
    assert db.scalar(select(func.count()).select_from(OrderLine)) == 2


def test_the_total_is_exact(client):
    assert make_order(client, make_customer(client), (BELL, 2), (ROPE, 30))["total"] == "90.30"


def test_an_order_takes_its_goods_from_the_stock(client, db):
    make_order(client, make_customer(client), (ANCHOR, 2), (CHART, 40))

    assert (stock(db, ANCHOR), stock(db, CHART)) == (1, 60)


def test_an_order_keeps_the_price_it_was_placed_at(client, db):
    placed = make_order(client, make_customer(client), (BELL, 1))

    db.execute(update(Product).where(Product.id == BELL).values(price=Decimal("99.00")))
    db.commit()

    assert client.get(f"/orders/{placed['id']}").json()["total"] == "39.90"


def test_one_line_too_many_and_nothing_happened(client, db):
    """The first line was already taken from the stock when the second failed."""
    customer = make_customer(client)

    response = order(client, customer, (ANCHOR, 1), (BELL, 1), (LAMP, 2))

    assert response.status_code == 409
    assert response.json()["detail"] == f"not enough of product {LAMP}"
    assert (stock(db, ANCHOR), stock(db, BELL), stock(db, LAMP)) == (3, 10, 1)
    assert db.scalars(select(Order)).all() == []


def test_after_a_refused_order_the_next_one_is_placed(client, db):
    customer = make_customer(client)
    order(client, customer, (LAMP, 2))

    make_order(client, customer, (LAMP, 1))

    assert stock(db, LAMP) == 0


def test_an_unknown_product_or_customer_is_refused(client):
    customer = make_customer(client)

    assert order(client, customer, (999, 1)).status_code == 409
    assert order(client, {"id": 999}, (BELL, 1)).status_code == 404
    assert client.get("/orders/999").status_code == 404


@pytest.mark.parametrize("lines", [[], [(BELL, 0)], [(BELL, -1)], [(BELL, 1), (BELL, 2)]])
def test_a_wrong_order_is_refused(client, db, lines):
    assert order(client, make_customer(client), *lines).status_code == 422
    assert stock(db, BELL) == 10


def test_cancelling_puts_the_goods_back(client, db):
    placed = make_order(client, make_customer(client), (ANCHOR, 2), (LAMP, 1))

    assert client.post(f"/orders/{placed['id']}/cancel").json()["status"] == "cancelled"

    assert (stock(db, ANCHOR), stock(db, LAMP)) == (3, 1)


def test_an_order_is_cancelled_once(client, db):
    placed = make_order(client, make_customer(client), (LAMP, 1))
    client.post(f"/orders/{placed['id']}/cancel")

    assert client.post(f"/orders/{placed['id']}/cancel").status_code == 409
    assert stock(db, LAMP) == 1


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_ids_start_anew_in_every_test(client, attempt):
    ada, grace = make_customer(client), make_customer(client, email="grace@example.org")

    assert (ada["id"], grace["id"]) == (1, 2)
    assert [make_order(client, ada, (CHART, 1))["id"] for _ in range(3)] == [1, 2, 3]
    new = {"sku": "PIN", "name": "Pin", "price": "0.10"}
    assert client.post("/products", json=new).json()["id"] == 6  # after the five of the seed


@pytest.mark.seatrial(db="reset")  # eight buyers at once are eight connections
def test_the_last_one_is_sold_once(client, db):
    customer = make_customer(client)

    with ThreadPoolExecutor(max_workers=8) as buyers:
        answers = list(buyers.map(lambda _: order(client, customer, (LAMP, 1)).status_code, range(8)))

    assert sorted(answers) == [201] + [409] * 7
    assert stock(db, LAMP) == 0
    assert db.scalar(select(func.count()).select_from(Order)) == 1
