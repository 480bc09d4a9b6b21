"""No password gets past `redact`."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.redact import HIDDEN, redact

PASSWORDS = st.text(string.ascii_letters + string.digits + "!$%^&*()_-+=~@:;,.<>|[]{}", min_size=8)


@given(password=PASSWORDS)
def test_the_password_of_a_url_is_hidden_whatever_is_in_it(password):
    text = redact(f"cannot reach postgresql+psycopg://app:{password}@db.example.org:5432/orders at all")
    assert text == f"cannot reach postgresql+psycopg://app:{HIDDEN}@db.example.org:5432/orders at all"


@given(password=PASSWORDS.filter(lambda text: text not in "a secret of ours: ***"))
def test_a_secret_that_is_named_is_hidden_wherever_it_stands(password):
    assert password not in redact(f"a{password}b {password} {password[:3]}", password)


@pytest.mark.parametrize(
    "text",
    [
        "host=localhost password=hunter22 dbname=x",
        "host=localhost password='hunter22 and more' dbname=x",
        "PGPASSWORD=hunter22 psql",
        '{"password": "hunter22", "port": 5432}',
        "db_password: hunter22",
        "CREATE ROLE app LOGIN PASSWORD 'hunter22'",
        "ALTER USER app PASSWORD E'hunter22'",
        "postgresql://app:hunter22@localhost/x",
        "'postgresql://app:hunter22@localhost/x', 'redis://:hunter22@localhost:6379/0'",
    ],
)
def test_passwords_are_hidden_in_every_form_that_tools_write(text):
    assert "hunter22" not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:8080/users?mail=a@example.org",
        "postgresql://localhost:5432/app",
        "password authentication failed for user app",
        "write to a@example.org: it is done",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text
