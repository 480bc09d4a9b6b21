"""Takes orders, and asks the stock to put the goods aside first."""

import os
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy.orm import Session

from orders.database import Order, get_db

STOCK_URL = os.environ["STOCK_URL"]
GONE = 409

app = FastAPI(title="orders", responses={409: {"description": "the goods are gone"}})
stock = httpx.Client(base_url=STOCK_URL)


class NewOrder(BaseModel):
    product: str
    amount: int


@app.post("/orders", status_code=201)
def create_order(body: NewOrder, db: Annotated[Session, Depends(get_db)]) -> int:
    answer = stock.post(f"/levels/{body.product}/reservations", json={"amount": body.amount})
    if answer.status_code == GONE:
        raise HTTPException(GONE, "the goods are gone")
    answer.raise_for_status()
    order = Order(product=body.product, amount=body.amount)
    db.add(order)
    db.commit()
    return order.id
