"""What fixtures of wider scope left in a session is there for every test inside, as they left it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import JSON, ForeignKey, create_engine, inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.pool import StaticPool

from seatrial.sessions.connections.kept import Kept


class Base(DeclarativeBase):
    pass


class Team(Base):
    __tablename__ = "teams"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    settings: Mapped[dict[str, int]] = mapped_column(JSON, default=dict)
    players: Mapped[list[Player]] = relationship(back_populates="team")


class Player(Base):
    __tablename__ = "players"
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))
    team: Mapped[Team] = relationship(back_populates="players")


@pytest.fixture
def session() -> Iterator[Session]:
    """A session whose objects keep what they have over a commit."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine, expire_on_commit=False) as session:
        yield session
    engine.dispose()


def settle(kept: Kept, session: Session, owner: str, *, lost: bool = False) -> None:
    """A fixture of wider scope is set up."""
    found = kept.find(session, owner, lost=lost)
    session.rollback()
    kept.add(found, session)
    go_on(kept, session)


def go_on(kept: Kept, session: Session) -> None:
    """The session is as new for who comes next."""
    session.close()
    kept.give_back(session)


def made(kept: Kept, session: Session, **values: object) -> Team:
    """What a fixture named "outer" has committed, and has settled."""
    team = Team(**values)
    session.add(team)
    session.commit()
    settle(kept, session, "outer")
    return team


def test_what_an_inner_fixture_changes_of_an_outer_ones_object_holds_until_it_is_torn_down(session: Session) -> None:
    kept = Kept(loads=True)
    team = made(kept, session, name="outer")
    team.name = "inner"
    session.commit()
    settle(kept, session, "inner")
    assert team.name == "inner"
    kept.drop("inner")
    go_on(kept, session)
    assert team.name == "outer"


@pytest.mark.parametrize(("loads", "name"), [(True, "inner"), (False, "outer")], ids=["sync", "async"])
def test_what_a_commit_has_expired_is_loaded_anew_where_a_session_can_do_that_by_itself(
    session: Session, loads: bool, name: str
) -> None:
    kept = Kept(loads=loads)
    team = made(kept, session, name="outer")
    team.name = "inner"
    session.commit()
    session.expire_all()
    settle(kept, session, "inner")
    assert team.name == name


def test_what_an_outer_fixture_made_goes_with_it_though_another_one_has_changed_it(session: Session) -> None:
    kept = Kept(loads=True)
    team = made(kept, session, name="outer")
    team.name = "inner"
    session.commit()
    settle(kept, session, "inner")
    kept.drop("outer")
    go_on(kept, session)
    assert list(session) == []


def test_what_a_fixture_did_not_commit_is_not_kept(session: Session) -> None:
    kept, team = Kept(loads=True), Team(name="flushed")
    session.add(team)
    session.flush()
    settle(kept, session, "fixture", lost=True)
    assert list(session) == []


def test_nor_is_an_uncommitted_change_of_what_an_outer_fixture_made(session: Session) -> None:
    kept = Kept(loads=True)
    team = made(kept, session, name="outer")
    team.name = "flushed"
    session.flush()
    settle(kept, session, "inner", lost=True)
    assert team.name == "outer"


def test_an_object_that_another_session_has_by_now_is_left_to_it(session: Session) -> None:
    kept = Kept(loads=True)
    team = made(kept, session, name="shared")
    session.close()
    with Session(session.get_bind()) as other:
        other.add(team)
        kept.give_back(session)
        assert inspect(team).session is other
    go_on(kept, session)
    assert list(session) == []


def test_what_a_test_does_to_a_column_in_place_is_not_there_in_the_next(session: Session) -> None:
    kept = Kept(loads=True)
    team = made(kept, session, name="a", settings={"size": 11})
    for _ in range(2):
        assert team.settings == {"size": 11}
        team.settings["size"] = 5
        go_on(kept, session)


def test_a_reference_is_there_and_a_collection_is_loaded_anew(session: Session) -> None:
    kept, team = Kept(loads=True), Team(name="a")
    player = Player(team=team)
    session.add(player)
    session.commit()
    assert team.players == [player]
    settle(kept, session, "fixture")
    assert "team" in vars(player)
    assert "players" not in vars(team)
    with Session(session.get_bind()) as other:
        other.add(Player(team_id=team.id))
        other.commit()
    assert len(team.players) == 2
