"""The promises of a kind, each as a check that raises AssertionError where it is broken."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from seatrial.resources.protocol import (
    Copy,
    Serverless,
    SupportsClone,
    SupportsKeep,
    SupportsLayers,
    SupportsReset,
    Target,
    Undone,
)
from seatrial.testing.capabilities import a_capability_is_there_whole_or_not_at_all
from seatrial.testing.readiness import ready_is_who_answers_a_real_query
from seatrial.testing.sample import Bench, Sample, running

Check = Callable[[Sample], None]
NOTHING = "`Sample.write` must change what `Sample.read` sees"
_ROUNDS = 3


def checks() -> Sequence[Check]:
    """All of them. One that is about a capability does nothing for a kind whose copies do not have it.

    That a capability is there, and not half of it, is a check of its own: see `Sample.capabilities`.
    """
    return (
        a_capability_is_there_whole_or_not_at_all,
        the_address_is_known_before_the_server_runs,
        an_address_leaves_nothing_behind,
        ready_is_who_answers_a_real_query,
        a_server_that_runs_is_attached_to,
        a_template_is_made_once,
        a_step_that_fails_leaves_no_template,
        a_copy_is_at_the_baseline_and_at_its_address,
        the_name_of_a_copy_can_be_used_again,
        what_a_test_wrote_is_undone_again_and_again,
        a_test_that_only_reads_has_nothing_to_undo,
        a_late_write_is_named_and_undone,
        a_clone_is_the_baseline_whatever_happened,
        a_layer_is_the_baseline_until_it_is_taken_away,
        two_workers_do_not_see_each_other,
        a_fixture_is_one_object_from_first_test_to_last,
        a_kept_copy_is_as_the_test_left_it,
        a_password_is_in_no_representation,
    )


def the_address_is_known_before_the_server_runs(sample: Sample) -> None:
    """The environment is exported before the app is imported, with no server running."""
    server = sample.reserve()
    try:
        before = sample.kind.copy_address(server.endpoint, sample.spec, "early")
        server.start()
        assert sample.kind.copy_address(server.endpoint, sample.spec, "early") == before
        assert sample.kind.env
    finally:
        server.release()


def an_address_leaves_nothing_behind(sample: Sample) -> None:
    """Many ask only where it will be (a controller, `doctor`): what is made is made by `open`, and goes with `close`.

    For kinds without a server; of the others' folders the supervisor knows.
    """
    if not isinstance(sample.kind, Serverless):
        return
    usual = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        try:
            server = sample.reserve()
            address = sample.kind.copy_address(server.endpoint, sample.spec, "asked")
            server.release()
            assert _made_in(folder) == [], "who only asked for the address has made this"
            assert not Path(address.database).exists(), "who only asked for the address has made the copy"
            with running(sample) as bench:
                _, copy, _ = _first(bench)
                copy.close()
            assert _made_in(folder) == [], "a store that is closed has left this"
        finally:
            tempfile.tempdir = usual


def a_server_that_runs_is_attached_to(sample: Sample) -> None:
    """The second `start` finds it; `alive` tells without a round trip."""
    server = sample.reserve()
    try:
        server.start()
        assert server.alive()
        assert server.start() is True
        assert isinstance(server.log_tail(), str)
    finally:
        server.release()
    if not isinstance(sample.kind, Serverless):
        assert not server.alive()


def a_template_is_made_once(sample: Sample) -> None:
    """`find` tells whether it is there, and not before it is whole; `build` says that another has made it."""
    with running(sample) as bench:
        key, filled = _key(bench), []

        def fill(target: Target) -> None:
            filled.append(target.address)
            sample.fill(target)
            assert not bench.store.find(key), "half a template is found under its name"

        assert not bench.store.find(key)
        assert bench.store.build(key, bench.copy_name, fill) is True
        assert bench.store.find(key)
        assert bench.store.build(key, bench.copy_name, fill) is False
        assert filled == [bench.address]
        assert bench.store.locale


def a_step_that_fails_leaves_no_template(sample: Sample) -> None:
    """And the next attempt is not in its way."""
    with running(sample) as bench:
        key = _key(bench)

        def broken(target: Target) -> None:
            sample.fill(target)
            raise LookupError("on purpose")

        try:
            bench.store.build(key, bench.copy_name, broken)
        except LookupError:
            pass
        else:
            raise AssertionError("what a step raises must reach whoever asked for the template")
        assert not bench.store.find(key)
        assert bench.store.build(key, bench.copy_name, sample.fill) is True


def a_copy_is_at_the_baseline_and_at_its_address(sample: Sample) -> None:
    """What the steps made is in it, and nothing else."""
    with running(sample) as bench:
        seen = []

        def fill(target: Target) -> None:
            sample.fill(target)
            seen.append(sample.read(target.address))

        key = _key(bench)
        bench.store.build(key, bench.copy_name, fill)
        with closing(bench.store.checkout(key, bench.copy_name)) as copy:
            assert copy.address == bench.address
            assert sample.read(copy.address) == seen[0]


def the_name_of_a_copy_can_be_used_again(sample: Sample) -> None:
    """After `drop`, and in the place of one that is there: each is fresh."""
    with running(sample) as bench:
        key, _, before = _first(bench)
        for drop in (True, False):
            sample.write(bench.address)
            if drop:
                bench.store.drop(bench.copy_name)
            with closing(bench.store.checkout(key, bench.copy_name)):
                assert sample.read(bench.address) == before


def what_a_test_wrote_is_undone_again_and_again(sample: Sample) -> None:
    """Whoever wrote, on whatever connection; the same write in the next test does the same."""
    with running(sample) as bench:
        _, copy, before = _first(bench)
        if not isinstance(copy, SupportsReset):
            return
        after = set()
        for _ in range(_ROUNDS):
            copy.mark()
            sample.write(bench.address)
            written = sample.read(bench.address)
            assert written != before, NOTHING
            after.add(repr(written))
            undone = copy.undo()
            assert isinstance(undone, Undone)
            assert undone.path != "nothing"
            assert sample.read(bench.address) == before
        assert len(after) == 1, "the same write had another effect in a later test"
        copy.close()


def a_test_that_only_reads_has_nothing_to_undo(sample: Sample) -> None:
    """`undo` says so, and the next test has no late writes."""
    with running(sample) as bench:
        _, copy, before = _first(bench)
        if isinstance(copy, SupportsReset):
            copy.undo()
            for _ in range(_ROUNDS):
                copy.mark()
                assert sample.read(bench.address) == before
                assert copy.undo().path == "nothing"
                assert copy.late_writes() == ()
        copy.close()


def a_late_write_is_named_and_undone(sample: Sample) -> None:
    """What arrives between two tests is found at the start of the second."""
    with running(sample) as bench:
        _, copy, before = _first(bench)
        if isinstance(copy, SupportsReset):
            copy.undo()
            sample.write(bench.address)
            assert copy.late_writes()
            copy.undo()
            assert sample.read(bench.address) == before
            assert copy.late_writes() == ()
        copy.close()


def a_clone_is_the_baseline_whatever_happened(sample: Sample) -> None:
    """Behind the same address."""
    with running(sample) as bench:
        _, copy, before = _first(bench)
        if isinstance(copy, SupportsClone):
            for _ in range(2):
                sample.write(bench.address)
                assert sample.read(bench.address) != before, NOTHING
                copy.renew()
                assert copy.address == bench.address
                assert sample.read(bench.address) == before
        copy.close()


def a_layer_is_the_baseline_until_it_is_taken_away(sample: Sample) -> None:
    """What a wider fixture wrote is there in each test inside it, and gone after it."""
    with running(sample) as bench:
        _, copy, before = _first(bench)
        if isinstance(copy, SupportsLayers) and isinstance(copy, SupportsReset):
            copy.undo()
            sample.write(bench.address)
            inside = sample.read(bench.address)
            assert inside != before, NOTHING
            copy.push()
            sample.write(bench.address)
            copy.undo()
            assert sample.read(bench.address) == inside
            copy.pop()
            assert sample.read(bench.address) == before
        copy.close()


def two_workers_do_not_see_each_other(sample: Sample) -> None:
    """Each has a copy of its own, at the same time."""
    with running(sample, "one") as first, running(sample, "two") as second:
        assert first.address != second.address
        _, one, before = _first(first)
        _, two, _ = _first(second)
        sample.write(first.address)
        assert sample.read(first.address) != before, NOTHING
        assert sample.read(second.address) == before
        one.close()
        two.close()


def a_fixture_is_one_object_from_first_test_to_last(sample: Sample) -> None:
    """As new for each test: `renew` and `replace` keep its identity."""
    with running(sample) as bench:
        _, copy, _ = _first(bench)
        client = copy.client()
        value = client.value
        for step in (client.settle, client.renew, client.replace, client.renew):
            step()
            assert client.value is value
        client.close()
        copy.close()


def a_kept_copy_is_as_the_test_left_it(sample: Sample) -> None:
    """And its name is free for a fresh one."""
    with running(sample) as bench:
        key, copy, before = _first(bench)
        sample.write(bench.address)
        written = sample.read(bench.address)
        assert written != before, NOTHING
        copy.close()
        if isinstance(bench.store, SupportsKeep):
            kept = bench.store.keep(bench.copy_name, f"kept_{secrets.token_hex(3)}")
            assert sample.read(kept) == written
            with closing(bench.store.checkout(key, bench.copy_name)):
                assert sample.read(bench.address) == before


def a_password_is_in_no_representation(sample: Sample) -> None:
    """`repr` of what travels through messages and logs hides it."""
    server = sample.reserve()
    try:
        address = sample.kind.copy_address(server.endpoint, sample.spec, "secret")
        for told in (address, server.endpoint, sample.spec):
            for password in filter(None, (address.password, server.endpoint.admin.password)):
                assert password not in repr(told)
    finally:
        server.release()


def _made_in(folder: str) -> list[str]:
    """But for what Seatrial itself keeps there, where the machine has no better place."""
    return [path.name for path in Path(folder).iterdir() if not path.name.startswith("seatrial-")]


def _key(bench: Bench) -> str:
    return f"{bench.name}_{secrets.token_hex(8)}"


def _first(bench: Bench) -> tuple[str, Copy, Any]:
    """A template's key, a copy of it, and what is to be read in that."""
    key = _key(bench)
    bench.store.build(key, bench.copy_name, bench.sample.fill)
    copy = bench.store.checkout(key, bench.copy_name)
    return key, copy, bench.sample.read(bench.address)
