"""No password gets past `redact`."""

from __future__ import annotations

import json
import string
import subprocess
import sys
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.redact import HIDDEN, is_secret, redact

ALPHABET = string.ascii_letters + string.digits + string.punctuation + "äß"
PASSWORDS = st.text(ALPHABET, min_size=8)
NO_MARKS = str.maketrans("", "", "'\\")
PLAIN = st.text(string.ascii_letters + string.digits + "/+-_.:@?#%!*", min_size=8)


@given(password=PASSWORDS, scheme=st.sampled_from(["postgresql+psycopg", "mysql", "redis", "nats", "amqp"]))
def test_the_password_of_a_url_is_hidden_whatever_is_in_it(password, scheme):
    text = redact(f"cannot reach {scheme}://app:{password}@db.example.org:5432/orders at all")
    assert text == f"cannot reach {scheme}://app:{HIDDEN}@db.example.org:5432/orders at all"


@given(password=PASSWORDS, mark=st.sampled_from("\"'`"))
def test_a_url_in_quotation_marks_ends_with_them(password, mark):
    password = password.replace(mark, "")
    text = redact(f'{{"url":{mark}redis://:{password}x@h:6379/0{mark},"mail":"a@example.org"}}')
    assert text == f'{{"url":{mark}redis://:{HIDDEN}@h:6379/0{mark},"mail":"a@example.org"}}'


@given(token=st.text(string.ascii_letters + string.digits + "/+-_=.?#", min_size=1))
def test_a_token_in_place_of_user_and_password_is_hidden(token):
    assert redact(f"cannot reach nats://{token}@h:4222") == f"cannot reach nats://{HIDDEN}@h:4222"


@given(password=PASSWORDS.filter(lambda text: text.strip("*") and not text.isalpha()))
def test_a_secret_that_is_named_is_hidden_wherever_it_stands(password):
    assert password not in redact(f"a{password}b {password} {password[:3]}", password)


@given(password=PASSWORDS.filter(lambda text: text.strip("*") and not text.isalpha()))
def test_a_secret_that_is_named_is_hidden_in_the_writing_of_urls_and_strings(password):
    written = [quote(password, safe=""), json.dumps(password), repr(password), f"x{password}x"]
    assert redact(" ".join(written), password).split(" ") == [
        HIDDEN,
        f'"{HIDDEN}"',
        f"{repr(password)[0]}{HIDDEN}{repr(password)[0]}",
        f"x{HIDDEN}x",
    ]


def test_a_secret_that_is_a_word_does_not_tear_others_apart():
    assert redact("postgresql://postgres:postgres@h", "postgres") == "postgresql://***:***@h"
    assert redact("the exit of x, as x:x@h", "x") == "the exit of ***, as ***:***@h"


@given(password=PASSWORDS)
def test_the_password_of_a_statement_is_hidden_whatever_is_in_it(password):
    doubled, escaped = password.replace("'", "''"), password.replace("\\", "\\\\").replace("'", "\\'")
    assert (
        redact(f"ALTER ROLE a PASSWORD '{password.translate(NO_MARKS)}' LOGIN")
        == f"ALTER ROLE a PASSWORD {HIDDEN} LOGIN"
    )
    assert "'" not in redact(f"alter user a identified by '{doubled}'")
    assert "'" not in redact(f"alter user a identified by '{escaped}'")
    assert redact(f"create role a password $q${password}$q$ login") == f"create role a password {HIDDEN} login"


@given(password=PASSWORDS)
def test_the_password_of_a_json_text_is_hidden_and_nothing_else(password):
    text = redact(json.dumps({"password": password, "port": 5432}))
    assert text == f'{{"password": {HIDDEN}, "port": 5432}}'


@given(value=PLAIN)
def test_the_value_of_a_variable_that_is_named_like_a_secret_is_hidden(value):
    assert redact(f"AWS_SECRET_ACCESS_KEY={value} REGION=x") == f"AWS_SECRET_ACCESS_KEY={HIDDEN} REGION=x"


@pytest.mark.parametrize(
    "text",
    [
        "host=localhost password=hunter22 dbname=x",
        "host=localhost password='hunter22 and more' dbname=x",
        "PGPASSWORD=hunter22 psql",
        '{"password": "hunter22", "port": 5432}',
        "{'password': 'hunter22', 'port': 5432}",
        '{\\"password\\": \\"hunter22\\"}',
        "db_password: hunter22",
        "AWS_SECRET_ACCESS_KEY=hunter22",
        "REDIS_PASS=hunter22",
        "REDIS_AUTH=hunter22",
        "MYSQL_PWD=hunter22",
        "secret_key: hunter22",
        "'secretAccessKey': 'hunter22'",
        "api-key: hunter22",
        "token=hunter22",
        '{"token":"hunter22"}',
        'authorization: { token: "hunter22" }',
        "access_token: hunter22",
        "Authorization: Bearer hunter22",
        "it was refused: bearer hunter22-and-more-of-it",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJodW50ZXIyMiJ9.hunter22 is not one of a, b",
        "?user=app&password=hunter22&x=1",
        "Server=h;Password=hunter22;Database=x",
        "my-server --password hunter22 --port 1",
        "['valkey-server', '--requirepass', 'hunter22']",
        "CONFIG SET requirepass hunter22",
        "CREATE ROLE app LOGIN PASSWORD 'hunter22'",
        "ALTER USER app PASSWORD E'hunter22'",
        "create role app password $$hunter22$$",
        "create role app password 'hunter22",
        "create user x identified by 'hunter22'",
        "near 'identified by 'hunter22'' at line 1",
        "near 'identifed by 'hunter22'' at line 1",
        "create user x identified with mysql_native_password by 'hunter22'",
        "create user x identified via mysql_native_password using password('hunter22')",
        'set password for x@y = "hunter22"',
        "ACL SETUSER app on >hunter22 ~* +@all",
        '["ACL", "SETUSER", "app", "on", ">hunter22"]',
        "Error in ACL SETUSER modifier '>hunter22': syntax",
        "postgresql://app:hunter22@localhost/x",
        "'postgresql://app:hunter22@localhost/x', 'redis://:hunter22@localhost:6379/0'",
        "redis://:hunter22/x@localhost",
        "nats://hunter22@localhost:4222",
        "https://hunter22@example.org/x.git",
        "https://hunter22:@api.example.org",
    ],
)
def test_passwords_are_hidden_in_every_form_that_tools_write(text):
    assert "hunter22" not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:8080/users?mail=a@example.org",
        "http://api:4873/@scope/package",
        "http://[::1]:8080/@scope/package",
        '{"url":"http://127.0.0.1:8080","mail":"a@example.org"}',
        "postgresql://localhost:5432/app?application_name=a@b",
        "postgresql://localhost:5432/app",
        "postgresql://app@localhost/app",
        "write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        "ssh://git@example.org:22/x",
        "password authentication failed for user app",
        'password authentication failed for user "app"',
        "the password's length is no secret, it's 8",
        "connect(password=None, token=null)",
        "password_encryption = scram-sha-256",
        "POSTGRES_PASSWORD_FILE=/run/secrets/x",
        "AWS_ACCESS_KEY_ID=app",
        'SyntaxError: unexpected token: ")"',
        "unexpected token in JSON: it begins with <",
        "primary_key=id, sort_key: name",
        "tokens=12, 3 secrets",
        "write to a@example.org: it is done",
        "Bearer authentication-is-required",
        "eyJ.x, version 1.2.3",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    "name",
    ["password", "userPassword", "password_hash", "access_token", "refreshToken", "apiKey", "client-secret", "pin",
     "db_pwd", "Authorization", "set-cookie", "jwt", "credentials"],
)  # fmt: skip
def test_what_a_secret_is_called_is_known(name):
    assert is_secret(name)


@pytest.mark.parametrize("name", ["id", "name", "shipping", "primary_key", "author", "compass", "passenger", ""])
def test_other_names_are_no_secrets(name):
    assert not is_secret(name)


def test_a_large_text_of_any_shape_takes_no_noticeable_time():
    shapes = [
        ":",
        "a.",
        "a://b:",
        "'",
        "password",
        "password=",
        "identified by ",
        "setuser >a",
        "$a$",
        "&",
        "\\",
        ",)",
        "eyJ-",
        "eyJaaaaaa.",
        "bearer ",
        "bearer a",
    ]
    program = f"from seatrial.core.redact import redact\nfor shape in {shapes!r}: redact(shape * 30_000)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
