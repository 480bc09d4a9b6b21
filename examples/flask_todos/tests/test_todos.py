import pytest
from sqlalchemy import func, select

from todos.models import Account, Todo


@pytest.fixture
def ada(client):
    """The client, with an account that is logged in."""
    account = {"name": "ada", "password": "difference engine"}
    assert client.post("/accounts", json=account).status_code == 201
    assert client.post("/login", json=account).status_code == 204
    return client


@pytest.mark.parametrize("attempt", range(3))
def test_each_test_starts_without_accounts(ada, db, attempt):
    assert db.scalars(select(Account.id)).all() == [1]


def test_a_password_is_not_stored(ada, db):
    assert "difference engine" not in db.scalars(select(Account.password)).one()


def test_a_wrong_password(ada):
    assert ada.post("/login", json={"name": "ada", "password": "analytical engine"}).status_code == 401


def test_a_name_is_taken_once(ada, db):
    assert ada.post("/accounts", json={"name": "ada", "password": "x"}).status_code == 409
    assert db.scalar(select(func.count()).select_from(Account)) == 1


def test_without_a_login_nothing_is_seen(client):
    assert client.get("/todos").status_code == 401


def test_todos(ada, db):
    assert ada.post("/todos", json={"text": "write the first program"}).json() == {"id": 1}
    assert ada.post("/todos/1/done").status_code == 204
    assert ada.get("/todos").json() == [{"id": 1, "text": "write the first program", "done": True}]
    assert db.get(Todo, 1).done


def test_the_tests_own_rows_reach_the_app(ada, db):
    db.add(Todo(account_id=1, text="given"))
    db.commit()
    assert [each["text"] for each in ada.get("/todos").json()] == ["given"]


def test_todos_of_others_are_not_there(ada, db):
    other = Account(name="charles", password="-", todos=[Todo(text="build it")])
    db.add(other)
    db.commit()
    assert ada.get("/todos").json() == []
    assert ada.post(f"/todos/{other.todos[0].id}/done").status_code == 404


def test_who_signs_off_takes_the_todos_along(ada, db):
    ada.post("/todos", json={"text": "leave"})
    assert ada.delete("/account").status_code == 204
    assert db.scalar(select(func.count()).select_from(Todo)) == 0
    assert ada.get("/todos").status_code == 401
