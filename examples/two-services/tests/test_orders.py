import pytest
from sqlalchemy import func, select

from orders.database import Order


def test_an_order_takes_from_the_stock(orders, db, levels):
    assert orders.post("/orders", json={"product": "lamp", "amount": 2}).json() == 1

    assert db.scalars(select(Order)).one().amount == 2
    assert levels.get("level:lamp") == b"1"


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_every_test_starts_with_three_lamps_and_no_order(orders, stock, db, attempt):
    assert stock.get("/levels/lamp").json() == {"left": 3}
    assert orders.post("/orders", json={"product": "lamp", "amount": 3}).json() == 1
    assert stock.get("/levels/lamp").json() == {"left": 0}
    assert db.scalar(select(func.count(Order.id))) == 1


def test_what_is_gone_is_not_ordered(orders, db, exchanges):
    assert orders.post("/orders", json={"product": "lamp", "amount": 4}).status_code == 409

    assert db.scalar(select(func.count(Order.id))) == 0
    assert [str(exchange) for exchange in exchanges] == [
        "test -> orders: POST /orders 409",
        "orders -> stock: POST /levels/lamp/reservations 409",
    ]


def test_each_service_can_be_asked_by_itself(stock, levels):
    levels.set("level:chair", 5)

    assert stock.post("/levels/chair/reservations", json={"amount": 1}).json() == {"left": 4}
    assert stock.get("/levels/table").json() == {"left": 0}
    assert stock.get("/nothing").status_code == 404
