"""A customer's orders, page by page."""

import pytest
from sqlalchemy import delete

from shop.models import Order
from tests.factories import ROPE, make_customer, make_order


@pytest.fixture
def ada(client):
    return make_customer(client)


def read_page(client, customer, **params):
    response = client.get(f"/customers/{customer['id']}/orders", params=params)
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["items"]], response.json()["next"]


def test_a_customer_without_orders_has_one_empty_page(client, ada):
    assert read_page(client, ada) == ([], None)


def test_the_newest_order_comes_first(client, ada):
    placed = [make_order(client, ada, (ROPE, 1))["id"] for _ in range(3)]

    assert read_page(client, ada) == (placed[::-1], None)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7])
def test_pages_hold_every_order_once(client, ada, limit):
    placed = [make_order(client, ada, (ROPE, 1))["id"] for _ in range(5)]

    seen, cursor = read_page(client, ada, limit=limit)
    while cursor is not None:
        page, cursor = read_page(client, ada, limit=limit, cursor=cursor)
        assert 0 < len(page) <= limit
        seen += page

    assert seen == placed[::-1]


def test_an_order_placed_meanwhile_moves_no_page(client, ada):
    first, second, third = (make_order(client, ada, (ROPE, 1))["id"] for _ in range(3))
    page, cursor = read_page(client, ada, limit=1)
    assert page == [third]

    make_order(client, ada, (ROPE, 1))

    assert read_page(client, ada, limit=2, cursor=cursor) == ([second, first], None)


def test_a_page_goes_on_where_its_last_order_was_deleted(client, db, ada):
    first, second, _ = (make_order(client, ada, (ROPE, 1))["id"] for _ in range(3))
    _, cursor = read_page(client, ada, limit=2)

    db.execute(delete(Order).where(Order.id == second))
    db.commit()

    assert read_page(client, ada, limit=2, cursor=cursor) == ([first], None)


def test_nobody_sees_the_orders_of_another(client, ada):
    grace = make_customer(client, email="grace@example.org")
    make_order(client, ada, (ROPE, 1))

    assert read_page(client, grace) == ([], None)


@pytest.mark.parametrize("cursor", ["", "x", "bm90IGEgY3Vyc29y"])
def test_a_made_up_cursor_is_refused(client, ada, cursor):
    assert client.get(f"/customers/{ada['id']}/orders", params={"cursor": cursor}).status_code == 400


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_page_has_a_bounded_size(client, ada, limit):
    assert client.get(f"/customers/{ada['id']}/orders", params={"limit": limit}).status_code == 422
