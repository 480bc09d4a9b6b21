import asyncio

import pytest
from sqlalchemy import func, select

from bookings.models import Booking, Room

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def hours(begins, ends, who="ada"):
    return {"who": who, "begins": f"2030-01-01T{begins:02}:00:00Z", "ends": f"2030-01-01T{ends:02}:00:00Z"}


async def add_room(async_client, name="blue"):
    response = await async_client.post("/rooms", json={"name": name, "seats": 4})
    assert response.status_code == 201, response.text
    return f"/rooms/{response.json()['id']}"


async def count(db, model):
    return await db.scalar(select(func.count()).select_from(model))


@pytest.mark.parametrize("attempt", range(3))
async def test_each_test_starts_without_rooms(async_client, db, attempt):
    assert await add_room(async_client) == "/rooms/1"
    assert (await db.scalars(select(Room.name))).all() == ["blue"]


async def test_the_tests_own_rows_reach_the_app(async_client, db):
    db.add(Room(name="green", seats=2))
    await db.commit()
    assert (await async_client.get("/rooms/1/bookings")).json() == []


async def test_a_name_is_taken_once(async_client, db):
    await add_room(async_client)
    response = await async_client.post("/rooms", json={"name": "blue", "seats": 1})
    assert response.status_code == 409
    assert await count(db, Room) == 1


async def test_bookings_come_in_order(async_client):
    room = await add_room(async_client)
    for begins, ends in ((12, 13), (9, 10)):
        assert (await async_client.post(f"{room}/bookings", json=hours(begins, ends))).status_code == 201
    begins = [each["begins"] for each in (await async_client.get(f"{room}/bookings")).json()]
    assert begins == sorted(begins)


@pytest.mark.parametrize(("begins", "ends", "status"), [(9, 11, 409), (10, 11, 201), (8, 9, 201), (11, 10, 422)])
async def test_the_database_itself_refuses_overlaps(async_client, db, begins, ends, status):
    room = await add_room(async_client)
    await async_client.post(f"{room}/bookings", json=hours(9, 10))
    assert (await async_client.post(f"{room}/bookings", json=hours(begins, ends))).status_code == status
    assert await count(db, Booking) == (2 if status == 201 else 1)


async def test_of_many_at_once_one_gets_the_room(async_client, db):
    room = await add_room(async_client)
    wanted = [async_client.post(f"{room}/bookings", json=hours(9, 10, who=str(number))) for number in range(8)]
    statuses = [response.status_code for response in await asyncio.gather(*wanted)]
    assert sorted(statuses) == [201, *[409] * 7]
    assert await count(db, Booking) == 1


async def test_a_removed_room_takes_its_bookings_along(async_client, db):
    room = await add_room(async_client)
    await async_client.post(f"{room}/bookings", json=hours(9, 10))
    assert (await async_client.delete(room)).status_code == 204
    assert await count(db, Booking) == 0


async def test_a_room_that_is_none(async_client):
    assert (await async_client.get("/rooms/7/bookings")).status_code == 404
