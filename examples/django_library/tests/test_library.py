import threading

import pytest
from django.db import connection
from django.test import Client, TestCase

from library.models import Book, Loan


@pytest.fixture
def ada(django_user_model):
    return django_user_model.objects.create_user("ada", password="difference engine")


@pytest.fixture
def logged_in(client, ada):
    assert client.login(username="ada", password="difference engine")
    return client


@pytest.mark.parametrize("attempt", range(2))
def test_each_test_starts_with_the_books_of_the_migration(db, client, attempt):
    assert [each["title"] for each in client.get("/books/").json()] == ["Emma", "Middlemarch"]
    assert Book.objects.create(title="Ulysses").pk == 3


def test_a_login_is_asked_for(db, client):
    assert client.post("/books/", {"title": "Ulysses"}).status_code == 403


def test_a_wrong_password(client, ada):
    assert not client.login(username="ada", password="analytical engine")


def test_a_book_is_added(logged_in):
    assert logged_in.post("/books/", {"title": "Ulysses"}).json() == {"id": 3, "title": "Ulysses", "copies": 1}


def test_a_title_is_there_once(logged_in):
    assert logged_in.post("/books/", {"title": "Emma"}).status_code == 400


def test_a_copy_is_borrowed_once(logged_in):
    assert logged_in.post("/books/1/borrow/").status_code == 201
    response = logged_in.post("/books/1/borrow/")
    assert (response.status_code, response.json()) == (409, {"detail": "all copies are out"})


def test_nobody_has_a_book_twice(logged_in):
    Book.objects.filter(pk=1).update(copies=2)
    assert logged_in.post("/books/1/borrow/").status_code == 201
    assert logged_in.post("/books/1/borrow/").json() == {"detail": "you have it"}


@pytest.mark.parametrize("attempt", range(2))
@pytest.mark.django_db(transaction=True)
def test_of_two_readers_at_once_one_gets_the_copy(django_user_model, attempt):
    readers = [django_user_model.objects.create_user(name, password="secret") for name in ("ada", "charles")]
    assert [each.pk for each in readers] == [1, 2]
    statuses = []

    def borrow(reader):
        client = Client()
        client.force_login(reader)
        statuses.append(client.post("/books/1/borrow/").status_code)
        connection.close()

    threads = [threading.Thread(target=borrow, args=[reader]) for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 409]
    assert Loan.objects.count() == 1


class TestShelf(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.book = Book.objects.create(title="Ulysses", copies=0)

    def test_a_book_without_copies_is_listed(self):
        assert "Ulysses" in [each["title"] for each in self.client.get("/books/").json()]

    def test_a_deleted_book_is_gone(self):
        self.book.delete()
        assert Book.objects.count() == 2

    def test_the_book_of_the_class_is_back(self):
        assert Book.objects.count() == 3
