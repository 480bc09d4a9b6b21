"""Cursors: where a page ended, as a text that clients hand back unread."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

from fastapi import HTTPException


def encode(placed_at: datetime, order_id: int) -> str:
    return urlsafe_b64encode(f"{placed_at.isoformat()} {order_id}".encode()).decode()


def decode(cursor: str) -> tuple[datetime, int]:
    try:
        placed_at, order_id = urlsafe_b64decode(cursor.encode()).decode().split(" ")
        return datetime.fromisoformat(placed_at), int(order_id)
    except ValueError as error:
        raise HTTPException(400, "not a cursor of ours") from error
