import os

import psycopg
import pytest


@pytest.mark.parametrize("attempt", range(4))
def test_the_same_row_every_time(seatrial_db, attempt):
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as app:
        (made,) = app.execute("insert into fruit (name) values ('pear') returning id").fetchone()
        assert made == 2
        assert app.execute("select name from fruit order by id").fetchall() == [("apple",), ("pear",)]
