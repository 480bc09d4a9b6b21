"""A test that a connection of an earlier one wrote into says so itself: with `-v`, in its report, and for JUnit."""

from __future__ import annotations

FILES = {
    "seatrial.toml": "[resources.db]\nkind = 'postgres'\nschema = 'schema.sql'\n",
    "schema.sql": "create table t (id int); insert into t values (1);",
    "test_disturbed.py": """
        import os
        from sqlalchemy import create_engine, text

        url = os.environ["DATABASE_URL"].replace("://", "+psycopg://")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        one, two = [], []

        def write(held):
            held or held.append(engine.connect())
            held[0].execute(text("insert into t values (2)"))

        def rows(db):
            return db.execute("select count(*) from t").fetchone()[0]

        def test_takes_one(db):
            write(one)

        def test_is_disturbed(db):
            write(one)
            write(two)

        def test_is_disturbed_and_fails(db):
            write(two)
            assert rows(db) == 1

        def test_is_not(db):
            assert rows(db) == 1
        """,
}


def test_a_disturbed_test_is_marked_in_the_run_in_its_report_and_in_junit(project):
    outcome = project.write(FILES).pytest("-v", "--junitxml=junit.xml")
    assert outcome.counts() == {"passed": 3, "failed": 1}, outcome.text
    by = "db: disturbed by a connection that an earlier test took from its pool and still holds (pid "
    assert f"test_disturbed.py::test_is_disturbed DISTURBED [{by}" in outcome.text
    failure = outcome.text.partition("= FAILURES =")[2]
    assert "seatrial, at teardown" in failure
    assert by in failure.partition("seatrial, at teardown")[2]
    cases = (project.folder / "junit.xml").read_text().split("<testcase ")[1:]
    marked = [
        case.split(' name="')[1].split('"')[0] for case in cases if f'name="seatrial_disturbed" value="{by}' in case
    ]
    assert marked == ["test_is_disturbed", "test_is_disturbed_and_fails"]
