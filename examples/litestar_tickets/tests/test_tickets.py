from concurrent.futures import ThreadPoolExecutor

import pytest


def submit(client, subject="it does not work", **values):
    response = client.post("/tickets", json={"subject": subject, **values})
    assert response.status_code == 201, response.text
    return response.json()["id"]


@pytest.mark.parametrize("attempt", range(3))
def test_each_test_starts_without_tickets(client, db, attempt):
    assert submit(client) == 1
    assert db.execute("select count(*) from tickets").fetchone() == (1,)


def test_a_ticket_is_shown(client):
    number = submit(client, urgent=True)
    assert client.get(f"/tickets/{number}").json() == {
        "id": 1,
        "subject": "it does not work",
        "urgent": True,
        "clerk": None,
    }


def test_a_ticket_that_is_none(client):
    assert client.get("/tickets/7").status_code == 404


def test_a_refused_ticket_leaves_the_connection_usable(client, db):
    assert client.post("/tickets", json={"subject": ""}).status_code == 422
    assert submit(client)
    assert db.execute("select count(*) from tickets").fetchone() == (1,)


def test_the_tests_own_rows_reach_the_app(client, db):
    db.execute("insert into tickets (subject) values ('given')")
    db.commit()
    assert client.get("/tickets/1").json()["subject"] == "given"


def test_urgent_ones_come_first(client):
    submit(client, "slow")
    submit(client, "fast", urgent=True)
    taken = [client.post("/tickets/next", params={"clerk": "ada"}).json()["subject"] for _ in range(2)]
    assert taken == ["fast", "slow"]


def test_nothing_to_do(client):
    assert client.post("/tickets/next", params={"clerk": "ada"}).status_code == 404


def test_two_clerks_at_once_get_different_tickets(client, db):
    for number in range(6):
        submit(client, str(number))

    def take(clerk):
        return client.post("/tickets/next", params={"clerk": clerk}).json()["id"]

    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(take, [f"clerk {number}" for number in range(6)]))
    assert sorted(taken) == [1, 2, 3, 4, 5, 6]
    assert db.execute("select count(distinct clerk) from tickets").fetchone() == (6,)
