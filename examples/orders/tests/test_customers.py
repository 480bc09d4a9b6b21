"""Customers: created once, found again, forgotten entirely."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from shop.models import Customer, Mail, Order, OrderLine
from tests.factories import BELL, CHART, make_customer, make_order


def test_create_and_retrieve_customer(client, db):
    customer = make_customer(client, email="ada@example.org", name="Ada")

    assert db.scalars(select(Customer)).one().email == "ada@example.org"
    assert client.get(f"/customers/{customer['id']}").json() == customer


def test_an_email_is_taken_once_whatever_its_case(client, db):
    make_customer(client, email="ada@example.org")

    response = client.post("/customers", json={"email": "Ada@Example.org", "name": "Another"})

    assert response.status_code == 409
    assert db.scalar(select(func.count()).select_from(Customer)) == 1


def test_after_a_conflict_the_service_still_writes(client, db):
    make_customer(client, email="ada@example.org")
    client.post("/customers", json={"email": "ada@example.org", "name": "Ada"})

    make_customer(client, email="grace@example.org")

    assert set(db.scalars(select(Customer.email))) == {"ada@example.org", "grace@example.org"}


@pytest.mark.parametrize("email", ["", "ada", "@", "a b@example.org"])
def test_what_is_no_email_is_refused(client, db, email):
    assert client.post("/customers", json={"email": email, "name": "Ada"}).status_code == 422
    assert db.scalars(select(Customer)).all() == []


def test_the_server_sets_the_time(client):
    created_at = datetime.fromisoformat(make_customer(client)["created_at"])

    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=5)


def test_an_unknown_customer_is_not_found(client):
    assert client.get("/customers/999").status_code == 404
    assert client.delete("/customers/999").status_code == 404


def test_forgetting_a_customer_takes_the_orders_along(client, db):
    ada, grace = make_customer(client), make_customer(client, email="grace@example.org")
    make_order(client, ada, (BELL, 1), (CHART, 2))
    kept = make_order(client, grace, (BELL, 1))

    assert client.delete(f"/customers/{ada['id']}").status_code == 204

    assert db.scalars(select(Order.id)).all() == [kept["id"]]
    assert db.scalars(select(OrderLine.order_id)).all() == [kept["id"]]


def test_a_customer_that_the_test_wrote_is_seen_by_the_service(client, db):
    customer = Customer(email="ada@example.org", name="Ada")
    db.add(customer)
    db.commit()

    assert client.get(f"/customers/{customer.id}").json()["name"] == "Ada"


@pytest.mark.seatrial(db="reset")  # the receipt is written on a connection of its own
def test_forgetting_a_customer_takes_the_receipts_along(client, db):
    ada = make_customer(client)
    client.post(f"/orders/{make_order(client, ada, (CHART, 1))['id']}/pay")
    assert db.scalars(select(Mail)).one()
    db.rollback()  # a later look is a new transaction

    client.delete(f"/customers/{ada['id']}")

    assert db.scalars(select(Mail)).all() == []
