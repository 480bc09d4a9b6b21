"""What fixtures of wider scope leave besides their layers: by set-ups that fail, by tear-downs, in mid-test."""

from __future__ import annotations

from pathlib import Path

import pytest

OLD = sorted(Path("/usr/lib/postgresql").glob("1[45]/bin"))
"""Servers whose log can't be read: the tables are looked at, and nothing tells what came late."""
KINDS = {
    "postgres": "kind = 'postgres'",
    "postgres-by-scan": "kind = 'postgres'\nprovider = 'binary'\nversion = '<16'",
    "sqlite": "kind = 'sqlite'",
    "mariadb": "kind = 'mariadb'",
}
CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def put(db):
    def put(*names):
        for name in names:
            cursor = db.cursor()
            cursor.execute(f"insert into log values ('{name}')")
        db.commit()
    return put

@pytest.fixture
def rows(db):
    def rows():
        cursor = db.cursor()
        cursor.execute("select v from log order by v")
        return [row[0] for row in cursor.fetchall()]
    return rows
"""


@pytest.fixture
def shop(project):
    def shop(kind: str, tests: str):
        if kind == "postgres-by-scan" and not OLD:
            pytest.skip("no PostgreSQL 14 or 15 in /usr/lib/postgresql")
        return project.write(
            {
                "seatrial.toml": f"[resources.db]\n{KINDS[kind]}\nschema = 'schema.sql'\n",
                "schema.sql": "create table log (v varchar(40)); insert into log values ('seed');",
                "conftest.py": CONFTEST,
                "test_shop.py": tests,
            }
        )

    return shop


LEFT = """
import pytest

@pytest.fixture(scope="module")
def broken(put):
    put("half")
    raise RuntimeError("half way")

@pytest.fixture(scope="module")
def skipping(put):
    put("before a skip")
    pytest.skip("not here")

@pytest.fixture(scope="module")
def broken_with_finalizer(put, request):
    request.addfinalizer(lambda: put("by a finalizer of a broken fixture"))
    raise RuntimeError("at once")

def test_before(put, rows):
    put("of a test")

def test_broken(broken):
    pass

def test_after_a_broken_set_up(rows):
    assert rows() == ["seed"]

def test_skipping(skipping):
    pass

def test_after_a_skip(rows):
    assert rows() == ["seed"]

class TestBrokenWithFinalizer:
    def test_broken_too(self, broken_with_finalizer):
        pass

class TestTearDown:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def only_in_its_tear_down(cls, put):
        yield
        put("by a tear-down")

    def test_in_class(self, rows):
        assert rows() == ["seed"]

def test_after_a_tear_down(rows):
    assert rows() == ["seed"]

class TestLayer:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def layer(cls, put):
        put("layer")

    def test_in_a_layer(self, rows):
        assert rows() == ["layer", "seed"]

    class TestAbove:
        @pytest.fixture(scope="class", autouse=True)
        @classmethod
        def above(cls, put, request):
            request.addfinalizer(lambda: put("by a finalizer"))

        def test_above(self, rows):
            assert rows() == ["layer", "seed"]

    def test_after_it(self, rows):
        assert rows() == ["layer", "seed"]

def test_after_the_layer(rows):
    assert rows() == ["seed"]
"""
AFTER = """
def test_in_the_next_file(rows):
    assert rows() == ["seed"]
"""


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_broken_set_up_or_a_tear_down_has_committed_is_undone_and_charged_to_no_test(shop, kind):
    outcome = shop(kind, LEFT).write({"test_shop_after.py": AFTER}).pytest(audit=True)
    assert outcome.counts() == {"passed": 10, "skipped": 1, "error": 2}, outcome.text
    assert "after its end" not in outcome.text
    assert "all of them equal to the baseline" in outcome.text


OPEN = """
import psycopg, pytest

@pytest.fixture(scope="module")
def conn(db_url):
    conn = psycopg.connect(db_url, application_name="mine")
    conn.execute("insert into log values ('uncommitted')")
    yield conn
    conn.close()

@pytest.fixture(scope="class")
def late(db_url):
    yield
    global keep
    keep = psycopg.connect(db_url, application_name="theirs")
    keep.execute("insert into log values ('of a tear-down')")

@pytest.fixture(scope="class")
def broken(db_url):
    global kept
    kept = psycopg.connect(db_url, application_name="of a broken one")
    kept.execute("insert into log values ('half')")
    raise RuntimeError("boo")

def test_before(rows):
    assert rows() == ["seed"]

def test_inside(rows, conn):
    assert rows() == ["seed"]

class TestLate:
    def test_late(self, late):
        pass

class TestBroken:
    def test_broken(self, broken):
        pass

def test_after(rows):
    assert rows() == ["seed"]
"""


@pytest.mark.parametrize("kind", ["postgres", "postgres-by-scan"])
def test_a_wider_fixture_that_leaves_a_transaction_open_is_named_with_the_connection_and_what_it_ran(shop, kind):
    outcome = shop(kind, OPEN).pytest()
    assert outcome.counts() == {"passed": 4, "error": 1}, outcome.text
    for fixture, name, value, until in (
        ("conn", "mine", "uncommitted", "its set-up ends"),
        ("late", "theirs", "of a tear-down", "its tear-down ends"),
        ("broken", "of a broken one", "half", "its set-up ends"),
    ):
        found = next(line for line in outcome.text.splitlines() if line.startswith(f"db: the fixture {fixture}: "))
        assert "left a connection idle in transaction (pid" in found
        assert f"{name}); it was ended. It ran: insert into log values ('{value}')" in found
        assert found.endswith(f"commit or roll back, and close its session, before {until}")
    assert "db: test_shop.py" not in outcome.text


AMID = """
import pytest

made = []

@pytest.fixture(scope="session")
def stock(put):
    made.append("stock")
    put("stock")
    yield
    made.append("gone")
    put("by a tear-down")

@pytest.fixture(scope="module")
def more(put, stock):
    put("more")

@pytest.fixture(scope="session")
def settings(put):
    made.append("settings")

@pytest.fixture(scope="session")
def url(db_url):
    made.append("url")

@pytest.fixture
def lazy(request):
    return request.getfixturevalue("stock")

def test_amid(request, rows):
    request.getfixturevalue("url")
    request.getfixturevalue("settings")
    request.getfixturevalue("more")
    assert rows() == ["more", "seed", "stock"]
    assert made == ["url", "settings", "stock"]

def test_without(rows):
    assert rows() == ["seed"]
    assert made == ["url", "settings", "stock", "gone"]

@pytest.mark.parametrize("n", [1, 2])
def test_by_a_fixture_of_its_own(lazy, rows, n, put):
    assert rows() == ["seed", "stock"]
    put("of a test")

def test_as_an_argument(stock, rows):
    assert rows() == ["seed", "stock"]

def test_that_is_inside_by_now(lazy, rows):
    assert rows() == ["seed", "stock"]

def test_how_often_it_was_set_up():
    assert made.count("stock") == 4
"""
ONCE = """
def test_what_wrote_nothing_was_set_up_once(url, settings):
    assert made.count("url") == made.count("settings") == 1
"""


@pytest.mark.parametrize("isolation", ["reset", "rollback"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_wider_fixture_that_writes_in_mid_test_ends_with_it_and_is_set_up_again(shop, kind, isolation):
    if isolation == "rollback" and not kind.startswith("postgres"):
        pytest.skip("a plain driver joins in PostgreSQL only")
    # In a transaction it can't be told for certain who wrote nothing.
    outcome = shop(kind, AMID + (ONCE if isolation == "reset" else "")).pytest(
        audit=True, SEATRIAL_DB_ISOLATION=isolation
    )
    assert outcome.counts() == {"passed": 8 if isolation == "reset" else 7}, outcome.text
    told = [line for line in outcome.text.splitlines() if "the fixture stock was first requested" in line]
    assert len(told) == 1, outcome.text


TEAR_DOWN_FAILS = """
import pytest

@pytest.fixture(scope="module")
def stock(put):
    put("stock")
    yield
    raise RuntimeError("no end")

def test_amid(request, put):
    request.getfixturevalue("stock")

def test_after(rows):
    assert rows() == ["seed"]
"""


def test_a_tear_down_that_fails_with_the_test_is_its_error_and_the_baseline_holds(shop):
    outcome = shop("sqlite", TEAR_DOWN_FAILS).pytest(audit=True)
    assert outcome.counts() == {"passed": 2, "error": 1}, outcome.text
    assert "RuntimeError: no end" in outcome.text


NESTED = """
import pytest

@pytest.fixture(scope="session")
def inner(put):
    put("inner")

@pytest.fixture(scope="session")
def silent():
    return "nothing written"

@pytest.fixture(scope="module")
def early(put, request):
    request.getfixturevalue("inner")
    put("early")

@pytest.fixture(scope="module")
def with_silent(put, request):
    put("before")
    request.getfixturevalue("silent")
    put("after")

class TestNested:
    def test_early(self, early, rows):
        assert rows() == ["early", "inner", "seed"]

class TestSilent:
    def test_silent(self, with_silent, rows):
        assert rows() == ["after", "before", "early", "inner", "seed"]
"""
HALF = """
import pytest

@pytest.fixture(scope="session")
def other(put):
    put("other")

@pytest.fixture(scope="module")
def half(put, request):
    put("half")
    request.getfixturevalue("other")

def test_half(half):
    pass

def test_after(rows):
    assert rows() == ["inner", "seed"]
"""


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "mariadb"])
def test_a_wider_fixture_within_another_has_its_own_layer_and_what_comes_too_late_is_an_error(shop, kind):
    outcome = shop(kind, NESTED).write({"test_shop_half.py": HALF}).pytest(audit=True)
    assert outcome.counts() == {"passed": 3, "error": 1}, outcome.text
    assert "the fixture other was first requested by half, which had written to log before" in outcome.text
    assert "let half take other as an argument, or request it before it writes" in outcome.text
    assert "after its end" not in outcome.text


BETWEEN = """
import pytest

def test_before(put):
    put("of a test")

@pytest.mark.parametrize("n", [1, 2])
class TestLayer:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def stock(cls, put):
        put("stock")

    def test_inside(self, rows, put, n):
        assert rows() == ["seed", "stock"]
        put("of a test")

def test_after(rows, put):
    assert rows() == ["seed"]
    put("of a test")
"""


def test_a_layer_between_two_tests_in_rollback_is_their_baseline(shop):
    outcome = shop("postgres", BETWEEN).pytest(audit=True, SEATRIAL_DB_ISOLATION="rollback")
    assert outcome.counts() == {"passed": 4}, outcome.text
    assert "4 rolled back" in outcome.text


OUTSIDE = """
import psycopg, pytest

@pytest.fixture(scope="module")
def plain(db_url):
    with psycopg.connect(db_url, autocommit=True) as plain:
        yield plain

@pytest.fixture(scope="class")
def stock(put):
    put("stock")
    yield
    put("by a tear-down")

@pytest.fixture(scope="class")
def broken(stock, put):
    put("half")
    raise RuntimeError("half way")

@pytest.mark.parametrize("n", [1, 2])
def test_with_it(stock, plain, rows, put, n):
    assert rows() == ["seed", "stock"]
    plain.execute("select 'no layer has ended this connection'")
    put("of a test")

def test_whose_set_up_fails(broken):
    pass

def test_after(plain, rows):
    plain.execute("select 'nor has the end of one'")
    assert rows() == ["seed"]
"""


def test_a_class_scoped_fixture_of_a_function_outside_any_class_is_that_tests_own(shop):
    """It is set up and torn down with that test: a layer for it would cost two clones, and connections, a test."""
    outcome = shop("postgres", OUTSIDE).pytest(audit=True)
    assert outcome.counts() == {"passed": 3, "error": 1}, outcome.text
    assert "all of them equal to the baseline" in outcome.text
    assert "after its end" not in outcome.text


NARROWED = """
import pytest

@pytest.fixture(scope="session")
def first(put):
    put("first")

@pytest.fixture(scope="module")
def stock(put, request):
    put(f"stock {request.param}")
    yield
    put("by a tear-down")

@pytest.fixture(scope="class")
def inner(put, request):
    put(f"inner {request.param}")

def test_before(rows):
    assert rows() == ["seed"]

@pytest.mark.parametrize("stock, n", [(1, 1), (2, 2)], indirect=["stock"])
def test_of_one_test_as_a_part_is_indirect(stock, n, first, rows, put):
    assert rows() == ["first", "seed", f"stock {n}"]
    put("of a test")

@pytest.mark.parametrize("stock", [1, 2], indirect=True, scope="class")
def test_of_class_scope_outside_any(stock, rows, put):
    assert rows()[:2] == ["first", "seed"] and len(rows()) == 3
    put("of a test")

class TestInner:
    @pytest.mark.parametrize("inner, n", [(1, 1), (2, 2)], indirect=["inner"])
    def test_in_a_class(self, inner, n, rows, put):
        assert rows() == ["first", f"inner {n}", "seed"]
        put("of a test")

def test_after(rows):
    assert rows() == ["first", "seed"]
"""


@pytest.mark.parametrize("isolation", ["reset", "rollback"])
def test_a_wider_fixture_that_gets_its_parameter_for_one_test_is_that_tests_own(shop, isolation):
    """Pytest gives it no other where only some names are indirect: what it wrote was gone before its test began."""
    outcome = shop("postgres", NARROWED).pytest("-p", "no:randomly", audit=True, SEATRIAL_DB_ISOLATION=isolation)
    assert outcome.counts() == {"passed": 8}, outcome.text
    assert "all of them equal to the baseline" in outcome.text
    assert "after its end" not in outcome.text
    assert "first requested while" not in outcome.text


BROKEN_OFF = """
import pytest
from seatrial.harness.harness import Harness

@pytest.fixture(scope="class")
def first(put):
    put("first")

@pytest.fixture(scope="class")
def second(put):
    put("second")

class TestFirst:
    def test_whose_end_is_broken_off(self, first, put):
        put("of a test")
        whole = Harness.{where}
        def broken_off(self):
            Harness.{where} = whole
            pytest.fail("Timeout")
        Harness.{where} = broken_off

class TestSecond:
    def test_it(self, second, rows):
        assert rows() == ["second", "seed"]

def test_after(rows):
    assert rows() == ["seed"]
"""


@pytest.mark.parametrize("where", ["end_app", "_end_watch"])
def test_layers_are_lifted_and_laid_where_a_time_out_has_kept_a_test_from_its_check_in(shop, where):
    outcome = shop("postgres", BROKEN_OFF.format(where=where)).pytest("-p", "no:randomly", audit=True)
    assert outcome.counts() == {"passed": 3, "error": 1}, outcome.text


def test_what_a_wider_fixture_left_in_the_session_is_not_there_after_its_tear_down(project):
    """Though somebody still holds the object: the session would give it out for a row that is gone."""
    project.write(
        {
            "seatrial.toml": "[resources.db]\nkind = 'sqlite'\nschema = 'models:Base'\n",
            "pytest.ini": "[pytest]\npythonpath = .\n",
            "models.py": """
                from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

                HELD = []

                class Base(DeclarativeBase): ...

                class Team(Base):
                    __tablename__ = "team"
                    id: Mapped[int] = mapped_column(primary_key=True)
                """,
            "test_1.py": """
                import pytest
                from models import HELD, Team

                @pytest.fixture(scope="module")
                def team(db):
                    HELD.append(Team(id=1))
                    db.add(HELD[0])
                    db.commit()

                def test_inside(db, team):
                    assert db.get(Team, 1) is HELD[0]
                """,
            "test_2.py": """
                from models import HELD, Team

                def test_after(db):
                    assert db.get(Team, 1) is None
                    assert HELD[0] not in db
                """,
        }
    )
    outcome = project.pytest("-q")
    assert outcome.counts() == {"passed": 2}, outcome.text
