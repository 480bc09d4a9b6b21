"""/products: what is for sale."""

from fastapi import APIRouter, HTTPException
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from shop.database import Db
from shop.models import Product
from shop.schemas import NewProduct, ProductOut

router = APIRouter(prefix="/products")


@router.get("")
def available(db: Db) -> list[ProductOut]:
    products = db.scalars(select(Product).where(Product.stock > 0).order_by(Product.name))
    return [ProductOut.model_validate(product) for product in products]


@router.post("", status_code=201)
def create(new: NewProduct, db: Db) -> ProductOut:
    product = Product(**new.model_dump())
    db.add(product)
    try:
        db.commit()
    except IntegrityError as error:
        db.rollback()
        raise HTTPException(409, "this sku is taken") from error
    return ProductOut.model_validate(product)


@router.delete("/{product_id}", status_code=204)
def withdraw(product_id: int, db: Db) -> None:
    try:
        gone = db.scalar(delete(Product).where(Product.id == product_id).returning(Product.id))
    except IntegrityError as error:
        db.rollback()
        raise HTTPException(409, "somebody ordered it") from error
    if gone is None:
        raise HTTPException(404, "no such product")
    db.commit()
