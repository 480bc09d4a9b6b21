"""The service."""

from fastapi import FastAPI

from shop import customers, orders, products

app = FastAPI(title="Orders")
app.include_router(customers.router)
app.include_router(products.router)
app.include_router(orders.router)
