"""Fast password hashing: new hashes are cheap, all that exist verify, nothing is rehashed that would not be."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import ExitStack

import argon2
import bcrypt
import passlib.handlers.argon2
import passlib.hash
import passlib.utils.handlers
import pytest
import werkzeug.security
from django.conf import settings
from django.contrib.auth import hashers
from passlib.context import CryptContext

from seatrial.harness.changes import fast_hashing

DJANGO = {
    "pbkdf2_sha256": "iterations",
    "scrypt": "work_factor",
    "argon2": "memory_cost",
    "bcrypt_sha256": "work_factor",
}


class Cheap:
    """The patches, for as long as it is entered; `testing` says whether a test runs."""

    def __init__(self) -> None:
        self.testing = True
        self.patches = fast_hashing(lambda: self.testing)

    def __enter__(self):
        with ExitStack() as stack:
            for patch in self.patches:
                patch.apply()
                stack.callback(patch.undo)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        self._stack.close()


@pytest.fixture
def configured():
    """Django's settings, for hashers alone."""
    if settings.configured:
        pytest.skip("Django's settings are somebody else's here")
    from django.conf import UserSettingsHolder, global_settings

    holder = UserSettingsHolder(global_settings)
    holder.PASSWORD_HASHERS = [
        f"django.contrib.auth.hashers.{name}PasswordHasher" for name in ("PBKDF2", "Scrypt", "Argon2", "BCryptSHA256")
    ]
    before, settings._wrapped = settings._wrapped, holder
    hashers.get_hashers.cache_clear()
    hashers.get_hashers_by_algorithm.cache_clear()
    yield
    settings._wrapped = before
    hashers.get_hashers.cache_clear()
    hashers.get_hashers_by_algorithm.cache_clear()


def test_bcrypt():
    real = bcrypt.hashpw(b"secret", bcrypt.gensalt(6))
    with Cheap():
        cheap = bcrypt.hashpw(b"secret", bcrypt.gensalt())
        assert cheap.startswith(b"$2b$04$")
        assert bcrypt.checkpw(b"secret", cheap)
        assert bcrypt.checkpw(b"secret", real)
        assert not bcrypt.checkpw(b"other", real)
        with pytest.raises(ValueError, match="rounds"):
            bcrypt.gensalt(40)
    assert bcrypt.gensalt(6).startswith(b"$2b$06$")
    assert bcrypt.checkpw(b"secret", cheap)


def test_argon2():
    hasher = argon2.PasswordHasher(memory_cost=64)
    real = hasher.hash("secret")
    with Cheap():
        cheap = hasher.hash("secret")
        assert "m=8,t=1,p=1" in cheap
        assert hasher.verify(cheap, "secret")
        assert hasher.verify(real, "secret")
        with pytest.raises(argon2.exceptions.VerifyMismatchError):
            hasher.verify(cheap, "other")
        assert not hasher.check_needs_rehash(cheap)
        assert not hasher.check_needs_rehash(real)
        assert argon2.PasswordHasher(memory_cost=128).check_needs_rehash(real)
    assert "m=64," in hasher.hash("secret")
    assert hasher.check_needs_rehash(cheap)


@pytest.mark.parametrize("method", ["scrypt", "pbkdf2", "pbkdf2:sha512:5000"])
def test_werkzeug(method):
    real = werkzeug.security.generate_password_hash("secret", "pbkdf2:sha256:2000")
    with Cheap():
        cheap = werkzeug.security.generate_password_hash("secret", method)
        assert cheap.split("$")[0] in ("scrypt:128:8:1", "pbkdf2:sha256:1", "pbkdf2:sha512:1")
        assert cheap.startswith(method.removesuffix(":5000"))
        assert werkzeug.security.check_password_hash(cheap, "secret")
        assert not werkzeug.security.check_password_hash(cheap, "other")
        assert werkzeug.security.check_password_hash(real, "secret")
    assert werkzeug.security.check_password_hash(cheap, "secret")
    assert ":2000$" in werkzeug.security.generate_password_hash("secret", "pbkdf2:sha256:2000")


def test_werkzeug_keeps_the_defaults_that_its_version_has(monkeypatch):
    """Before 2.3 there is no scrypt, and `method` is another one where a call names none."""
    monkeypatch.setattr(werkzeug.security.generate_password_hash, "__defaults__", ("pbkdf2:sha256", 8))
    with Cheap():
        method, salt, _ = werkzeug.security.generate_password_hash("secret").split("$")
    assert (method, len(salt)) == ("pbkdf2:sha256:1", 8)


PASSLIB = {
    "bcrypt": ("bcrypt__rounds", 5, "$04$"),
    "bcrypt_sha256": ("bcrypt_sha256__rounds", 5, "r=4$"),
    "bsdi_crypt": ("bsdi_crypt__rounds", 11, "_/..."),
    "pbkdf2_sha256": ("pbkdf2_sha256__rounds", 2000, "$1$"),
    "django_pbkdf2_sha256": ("django_pbkdf2_sha256__rounds", 2000, "$1$"),
    "sha512_crypt": ("sha512_crypt__rounds", 2000, "rounds=1000$"),
    "scrypt": ("scrypt__rounds", 4, "ln=1,"),
    "argon2": ("argon2__memory_cost", 64, "m=8,t=1,p=1"),
}


@pytest.mark.parametrize("scheme", PASSLIB)
def test_passlib_hashes_at_the_lowest_cost_and_updates_no_more_than_in_production(scheme):
    option, cost, sign = PASSLIB[scheme]
    context = CryptContext([scheme, "md5_crypt"], deprecated="auto", **{option: cost})
    real = context.hash("secret")
    costlier = CryptContext([scheme], **{option: cost + 2})
    assert not context.needs_update(real)
    with Cheap():
        cheap = context.hash("secret")
        assert sign in cheap
        assert sign not in real
        for each in (cheap, real):
            assert context.verify("secret", each)
            assert not context.verify("other", each)
            assert context.verify_and_update("secret", each) == (True, None)
        assert costlier.needs_update(real)
        assert context.needs_update(passlib.hash.md5_crypt.hash("secret"))
    assert sign not in context.hash("secret")
    assert context.verify_and_update("secret", cheap)[0]
    assert context.needs_update(cheap)


def test_passlib_refuses_what_it_refuses():
    with Cheap(), pytest.raises(ValueError, match="too large"):
        passlib.hash.bcrypt.using(rounds=40)
    undecided = type("undecided", (passlib.hash.pbkdf2_sha256,), {"default_rounds": None})
    with Cheap(), pytest.raises(TypeError, match="must be specified"):
        undecided.hash("secret")


@pytest.mark.parametrize("algorithm", DJANGO)
def test_django_rehashes_no_more_than_in_production(configured, algorithm, monkeypatch):
    monkeypatch.setattr(hashers.PBKDF2PasswordHasher, "iterations", 1000)
    monkeypatch.setattr(hashers.BCryptSHA256PasswordHasher, "rounds", 5)
    rehashed = []
    real = hashers.make_password("secret", hasher=algorithm)
    with Cheap():
        cheap = hashers.make_password("secret", hasher=algorithm)
        hasher = hashers.get_hasher(algorithm)
        assert hasher.decode(cheap)[DJANGO[algorithm]] < hasher.decode(real)[DJANGO[algorithm]]
        for each in (cheap, real):
            assert hashers.check_password("secret", each, rehashed.append, preferred=algorithm)
            assert not hashers.check_password("other", each, rehashed.append, preferred=algorithm)
        assert rehashed == []
    assert hashers.check_password("secret", cheap, rehashed.append, preferred=algorithm)
    assert rehashed == ["secret"]


DERIVE = {
    "pbkdf2": lambda password, salt: hashlib.pbkdf2_hmac("sha256", password, salt, 1000),
    "scrypt": lambda password, salt: hashlib.scrypt(password, salt=salt, n=16, r=8, p=2),
}
SALT = {
    "urandom": lambda: os.urandom(16),
    "token_bytes": lambda: secrets.token_bytes(16),
    "token_hex": lambda: secrets.token_hex(16).encode(),
    "token_urlsafe": lambda: secrets.token_urlsafe(16).encode(),
}


@pytest.mark.parametrize("salt", SALT)
@pytest.mark.parametrize("function", DERIVE)
def test_hashlib_is_cheap_for_a_salt_that_was_made_in_a_test(function, salt):
    derive = DERIVE[function]
    with Cheap():
        made = SALT[salt]()
        stored = derive(b"secret", made)
        assert hmac.compare_digest(derive(b"secret", made), stored)
        assert not hmac.compare_digest(derive(b"other", made), stored)
    assert derive(b"secret", made) != stored


@pytest.mark.parametrize("function", DERIVE)
def test_hashlib_takes_what_was_asked_for_with_a_salt_of_seed_data(function):
    derive = DERIVE[function]
    salt = os.urandom(16)
    stored = derive(b"secret", salt)
    with Cheap() as cheap:
        assert derive(b"secret", salt) == stored
        cheap.testing = False  # a template is made: another run will not know its salts
        salt = os.urandom(16)
        stored = derive(b"secret", salt)
    assert derive(b"secret", salt) == stored


def test_all_is_as_before_afterwards():
    before = [
        os.urandom,
        hashlib.pbkdf2_hmac,
        hashlib.scrypt,
        bcrypt.gensalt,
        argon2.low_level.hash_secret,
        werkzeug.security.generate_password_hash,
        vars(hashers.PBKDF2PasswordHasher)["encode"],
        vars(hashers.Argon2PasswordHasher)["must_update"],
        vars(passlib.utils.handlers.HasRounds)["_generate_rounds"],
        vars(passlib.utils.handlers.HasRounds)["_calc_needs_update"],
        vars(passlib.handlers.argon2._Argon2Common)["_calc_needs_update"],
    ]
    with Cheap():
        assert os.urandom is not before[0]
    assert before == [
        os.urandom,
        hashlib.pbkdf2_hmac,
        hashlib.scrypt,
        bcrypt.gensalt,
        argon2.low_level.hash_secret,
        werkzeug.security.generate_password_hash,
        vars(hashers.PBKDF2PasswordHasher)["encode"],
        vars(hashers.Argon2PasswordHasher)["must_update"],
        vars(passlib.utils.handlers.HasRounds)["_generate_rounds"],
        vars(passlib.utils.handlers.HasRounds)["_calc_needs_update"],
        vars(passlib.handlers.argon2._Argon2Common)["_calc_needs_update"],
    ]
    assert "fast password hashing: bcrypt" in [patch.name for patch in Cheap().patches]
