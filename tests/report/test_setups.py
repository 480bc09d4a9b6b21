"""Slow set-ups are named with what to do; others are not."""

from __future__ import annotations

from seatrial.report.setups import Setups


def test_only_what_takes_more_than_its_share_is_named_the_slowest_first():
    setups = Setups(share=0.1, seconds=1)
    for _ in range(4):
        setups.add("users (tests/conftest.py:3)", "function", 0.5, makes_app=False)
        setups.add("app (tests/conftest.py:9)", "function", 1.0, makes_app=True)
        setups.add("quick (tests/conftest.py:12)", "function", 0.2, makes_app=False)
    setups.add("once (tests/conftest.py:20)", "session", 1.5, makes_app=False)
    setups.ran(10)
    lines = setups.lines()
    assert [line.split(" (")[0] for line in lines] == [
        "slow set-up: fixture app",
        "slow set-up: fixture users",
        "slow set-up: fixture once",
    ]
    assert "4 times, 4.0 s of 10.0 s: it builds the app; the one that `app`" in lines[0]
    assert "`fast_password_hashing`" in lines[1]
    assert "last from one run to the next" in lines[2]


def test_a_long_run_forgives_and_workers_add_up():
    workers = []
    for _ in range(2):
        worker = Setups()
        worker.add("users (tests/conftest.py:3)", "function", 1.2, makes_app=False)
        worker.ran(10)
        workers.append(worker)
    assert workers[0].lines() == []
    controller = Setups()
    for worker in workers:
        controller.load(worker.dump())
    assert controller.lines() == []
    controller.add("users (tests/conftest.py:3)", "function", 2.0, makes_app=False)
    assert "2 times" not in controller.lines()[0]
    assert "3 times, 4.4 s of 20.0 s" in controller.lines()[0]


def test_of_a_plugin_s_fixture_only_what_its_user_can_change_is_told():
    setups = Setups()
    setups.add("admin_user (fixtures.py:3)", "function", 2.0, makes_app=False, installed=True)
    setups.add("their_server (plugin.py:9)", "session", 2.0, makes_app=False, installed=True)
    setups.ran(5)
    controller = Setups()
    controller.load(setups.dump())
    (line,) = controller.lines()
    assert line.startswith("slow set-up: fixture admin_user")
    assert line.endswith("s of 5.0 s: if it hashes passwords, there is `fast_password_hashing`")
