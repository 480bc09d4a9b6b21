"""/customers: who buys, and what they bought."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from sqlalchemy import delete, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload

from shop import pages
from shop.database import Db
from shop.models import Customer, Order
from shop.schemas import CustomerOut, NewCustomer, OrderOut, Page

router = APIRouter(prefix="/customers")


@router.post("", status_code=201)
def create(new: NewCustomer, db: Db) -> CustomerOut:
    customer = Customer(email=new.email.lower(), name=new.name)
    db.add(customer)
    try:
        db.commit()
    except IntegrityError as error:
        db.rollback()
        raise HTTPException(409, "this email is taken") from error
    return CustomerOut.model_validate(customer)


@router.get("/{customer_id}")
def read(customer_id: int, db: Db) -> CustomerOut:
    customer = db.get(Customer, customer_id)
    if customer is None:
        raise HTTPException(404, "no such customer")
    return CustomerOut.model_validate(customer)


@router.delete("/{customer_id}", status_code=204)
def forget(customer_id: int, db: Db) -> None:
    """Orders, lines and receipts go with their customer: the database sees to that."""
    if db.scalar(delete(Customer).where(Customer.id == customer_id).returning(Customer.id)) is None:
        raise HTTPException(404, "no such customer")
    db.commit()


@router.get("/{customer_id}/orders")
def history(
    customer_id: int, db: Db, limit: Annotated[int, Query(gt=0, le=100)] = 20, cursor: str | None = None
) -> Page[OrderOut]:
    """Newest first. What is ordered meanwhile moves no page: the cursor is a place, not a number."""
    place = tuple_(Order.placed_at, Order.id)
    query = select(Order).where(Order.customer_id == customer_id).options(selectinload(Order.lines))
    if cursor is not None:
        query = query.where(place < pages.decode(cursor))
    orders = db.scalars(query.order_by(Order.placed_at.desc(), Order.id.desc()).limit(limit + 1)).all()
    page = orders[:limit]
    more = len(orders) > limit
    return Page(
        items=[OrderOut.model_validate(order) for order in page],
        next=pages.encode(page[-1].placed_at, page[-1].id) if more else None,
    )
