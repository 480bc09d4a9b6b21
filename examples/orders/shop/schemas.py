"""What the API takes and gives."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Money = Annotated[Decimal, Field(gt=0, max_digits=10, decimal_places=2)]
Item = TypeVar("Item")


class Row(BaseModel):
    """Something read from a table."""

    model_config = ConfigDict(from_attributes=True)


class NewCustomer(BaseModel):
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
    name: Annotated[str, Field(min_length=1, max_length=100)]


class CustomerOut(Row):
    id: int
    email: str
    name: str
    created_at: datetime


class NewProduct(BaseModel):
    sku: Annotated[str, Field(min_length=1, max_length=20)]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    price: Money
    stock: Annotated[int, Field(ge=0)] = 0


class ProductOut(Row):
    id: int
    sku: str
    name: str
    price: Decimal
    stock: int


class NewLine(BaseModel):
    product_id: int
    quantity: Annotated[int, Field(gt=0, le=1000)]


class NewOrder(BaseModel):
    customer_id: int
    lines: Annotated[list[NewLine], Field(min_length=1)]


class LineOut(Row):
    product_id: int
    quantity: int
    unit_price: Decimal


class OrderOut(Row):
    id: int
    customer_id: int
    status: str
    placed_at: datetime
    lines: list[LineOut]
    total: Decimal


class Page(BaseModel, Generic[Item]):
    """One page of a list. Give `next` back as `cursor` for the one after it; None at the end."""

    items: list[Item]
    next: str | None
