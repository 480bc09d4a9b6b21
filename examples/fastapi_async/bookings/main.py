"""The service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from fastapi import FastAPI, HTTPException
from pydantic import AwareDatetime, BaseModel, PositiveInt
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from bookings.database import Db, engine
from bookings.models import Booking, Room


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


class RoomIn(BaseModel):
    name: str
    seats: PositiveInt


class RoomOut(RoomIn):
    id: int


class BookingIn(BaseModel):
    who: str
    begins: AwareDatetime
    ends: AwareDatetime


class BookingOut(BaseModel):
    id: int
    who: str
    begins: datetime
    ends: datetime


@app.post("/rooms", status_code=201, response_model=RoomOut)
async def add_room(body: RoomIn, db: Db) -> Room:
    room = Room(**body.model_dump())
    db.add(room)
    try:
        await db.commit()
    except IntegrityError:
        raise HTTPException(409, "there is a room of that name") from None
    return room


@app.delete("/rooms/{room_id}", status_code=204)
async def remove_room(room_id: int, db: Db) -> None:
    await db.delete(await _room(db, room_id))
    await db.commit()


@app.post("/rooms/{room_id}/bookings", status_code=201, response_model=BookingOut)
async def book(room_id: int, body: BookingIn, db: Db) -> Booking:
    room = await _room(db, room_id)
    booking = Booking(room_id=room.id, **body.model_dump())
    db.add(booking)
    try:
        await db.commit()
    except IntegrityError as error:
        overlaps = "ex_bookings_overlap" in str(error.orig)
        raise HTTPException(409 if overlaps else 422, "taken" if overlaps else "ends before it begins") from None
    return booking


@app.get("/rooms/{room_id}/bookings", response_model=list[BookingOut])
async def bookings(room_id: int, db: Db) -> list[Booking]:
    room = await _room(db, room_id)
    return list(await db.scalars(select(Booking).where(Booking.room_id == room.id).order_by(Booking.begins)))


async def _room(db: Db, room_id: int) -> Room:
    room = await db.get(Room, room_id)
    if room is None:
        raise HTTPException(404, "no such room")
    return room
