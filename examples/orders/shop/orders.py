"""/orders: placed whole or not at all."""

from fastapi import APIRouter, BackgroundTasks, HTTPException
from sqlalchemy import update

from shop.database import Db
from shop.models import Customer, Order, OrderLine, Product
from shop.receipts import send_receipt
from shop.schemas import NewLine, NewOrder, OrderOut

router = APIRouter(prefix="/orders")


@router.post("", status_code=201)
def place(new: NewOrder, db: Db) -> OrderOut:
    if db.get(Customer, new.customer_id) is None:
        raise HTTPException(404, "no such customer")
    if len({line.product_id for line in new.lines}) < len(new.lines):
        raise HTTPException(422, "a product stands in two lines")
    in_lock_order = sorted(new.lines, key=lambda line: line.product_id)
    order = Order(customer_id=new.customer_id, lines=[take(line, db) for line in in_lock_order])
    db.add(order)
    db.commit()
    return OrderOut.model_validate(order)


def take(line: NewLine, db: Db) -> OrderLine:
    """Take a line's quantity from the stock, with no lock before: too few left means no row is updated."""
    price = db.scalar(
        update(Product)
        .where(Product.id == line.product_id, Product.stock >= line.quantity)
        .values(stock=Product.stock - line.quantity)
        .returning(Product.price)
    )
    if price is None:
        raise HTTPException(409, f"not enough of product {line.product_id}")
    return OrderLine(product_id=line.product_id, quantity=line.quantity, unit_price=price)


@router.get("/{order_id}")
def read(order_id: int, db: Db) -> OrderOut:
    order = db.get(Order, order_id)
    if order is None:
        raise HTTPException(404, "no such order")
    return OrderOut.model_validate(order)


@router.post("/{order_id}/pay")
def pay(order_id: int, db: Db, after: BackgroundTasks) -> OrderOut:
    order = move(order_id, "paid", db)
    db.commit()
    after.add_task(send_receipt, order_id)
    return OrderOut.model_validate(order)


@router.post("/{order_id}/cancel")
def cancel(order_id: int, db: Db) -> OrderOut:
    """The goods go back to the shelf."""
    order = move(order_id, "cancelled", db)
    for line in order.lines:
        db.execute(update(Product).where(Product.id == line.product_id).values(stock=Product.stock + line.quantity))
    db.commit()
    return OrderOut.model_validate(order)


def move(order_id: int, status: str, db: Db) -> Order:
    """Only a placed order can be paid or cancelled, and only once."""
    moved = db.scalar(
        update(Order).where(Order.id == order_id, Order.status == "placed").values(status=status).returning(Order)
    )
    if moved is None:
        raise HTTPException(409, "this order is not open")
    return moved
