"""Receipts: written after the response is sent, by a session of their own."""

from sqlalchemy.dialects.postgresql import insert

from shop.database import new_session
from shop.models import Mail, Order


def send_receipt(order_id: int) -> None:
    """Put the receipt of a paid order into the outbox; once, however often this is called."""
    with new_session.begin() as session:
        order = session.get_one(Order, order_id)
        receipt = {
            "order_id": order.id,
            "recipient": order.customer.email,
            "body": f"Dear {order.customer.name}, thank you for {order.total} EUR.",
        }
        session.execute(insert(Mail).values(receipt).on_conflict_do_nothing(index_elements=["order_id"]))
