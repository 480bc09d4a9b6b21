"""Payment: once, and followed by a receipt that is written after the response."""

import pytest
from sqlalchemy import select

from shop.models import Mail, Order
from shop.receipts import send_receipt
from tests.factories import BELL, ROPE, make_customer, make_order

pytestmark = pytest.mark.seatrial(db="reset")  # the receipt is written on a connection of its own


@pytest.fixture
def placed(client):
    return make_order(client, make_customer(client), (BELL, 1), (ROPE, 2))


def test_paying_writes_a_receipt(client, db, placed):
    assert client.post(f"/orders/{placed['id']}/pay").json()["status"] == "paid"

    receipt = db.scalars(select(Mail)).one()
    assert receipt.recipient == "ada@example.org"
    assert receipt.body == "Dear Ada, thank you for 40.60 EUR."


def test_an_order_is_paid_once(client, db, placed):
    client.post(f"/orders/{placed['id']}/pay")

    assert client.post(f"/orders/{placed['id']}/pay").status_code == 409
    assert len(db.scalars(select(Mail)).all()) == 1


def test_a_receipt_that_is_sent_again_stays_one(client, db, placed):
    client.post(f"/orders/{placed['id']}/pay")

    send_receipt(placed["id"])

    assert len(db.scalars(select(Mail)).all()) == 1


def test_what_is_paid_cannot_be_cancelled(client, db, placed):
    client.post(f"/orders/{placed['id']}/pay")

    assert client.post(f"/orders/{placed['id']}/cancel").status_code == 409
    assert db.scalars(select(Order.status)).one() == "paid"


def test_what_is_cancelled_cannot_be_paid(client, db, placed):
    client.post(f"/orders/{placed['id']}/cancel")

    assert client.post(f"/orders/{placed['id']}/pay").status_code == 409
    assert db.scalars(select(Mail)).all() == []


def test_a_receipt_has_the_id_it_would_have_alone(client, db, placed):
    """Whatever ran before, this is the first order and the first receipt."""
    client.post(f"/orders/{placed['id']}/pay")

    assert [(mail.id, mail.order_id) for mail in db.scalars(select(Mail))] == [(1, 1)]
