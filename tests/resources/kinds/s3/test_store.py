"""Templates and copies are buckets that are ours; somebody else's are never touched, whatever machine made them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from tests.resources.kinds.s3.conftest import fill

from seatrial.errors import IsolationError, NeedsClone, Refused, TemplateError
from seatrial.resources.kinds.s3 import S3, objects
from seatrial.resources.kinds.s3 import store as stores
from seatrial.resources.kinds.s3.notes import OURS
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.url import Url


def buckets(store):
    return {one["Name"] for one in store._client.list_buckets()["Buckets"]} - {OURS}


@pytest.fixture
def theirs(server, tmp_path_factory, monkeypatch):
    """Opens a store of the same server on another machine: with another cache, and so with other locks."""

    def make(name):
        monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path_factory.mktemp(name)))
        return contextlib.closing(S3().open(server.endpoint, server.spec))

    return make


def test_only_the_newest_kept_copies_stay_besides_those_kept_forever(store, monkeypatch):
    monkeypatch.setattr(stores, "_MOST_KEPT", 3)
    store.build("key", "one", fill)
    for number in range(5):
        store.checkout("key", "one")
        address = store.keep("one", f"kept_{number}", forever=number == 0)
    kept = {name for name in buckets(store) if name.startswith("kept-")}
    assert "kept-0" in kept
    assert address.database in kept
    assert len(kept) == 4
    for name in kept:
        store._remove(name)


def test_a_bucket_that_seatrial_has_not_made_is_refused_and_not_touched(store):
    store._client.create_bucket(Bucket="real-one")
    store._client.put_object(Bucket="real-one", Key="order", Body=b"1")
    store.build("key", "one", fill)
    for act in (
        lambda: store.checkout("key", "real-one"),
        lambda: store.build("other", "real-one", fill),
        lambda: store.drop("real-one"),
    ):
        with pytest.raises(Refused, match="is not ours"):
            act()
    assert store._client.list_objects_v2(Bucket="real-one")["KeyCount"] == 1
    store._client.delete_bucket(Bucket="real-one")


def test_a_bucket_that_could_not_be_made_is_not_noted_as_ours(store):
    """It may be somebody's, whose buckets we can't list; who notes it as ours would empty it the next time."""
    name = "a" * 70
    with pytest.raises(ClientError):
        store._make(name, "copy")
    assert name not in {note.bucket for note in store._notes.all()}


def keys(copy):
    return {one.key: one.get()["Body"].read() for one in copy.client().value.objects.all()}


@pytest.mark.parametrize("act", ["undo", "renew", "push"])
def test_what_is_written_while_the_bucket_is_at_work_is_late_and_undone(copy, monkeypatch, act):
    before, bucket, copying = keys(copy), copy.client().value, objects.copy

    def meanwhile(*asked):
        copying(*asked)
        bucket.put_object(Key="late", Body=b"1")
        if act != "renew":
            bucket.put_object(Key="folder/deep", Body=b"late")

    bucket.put_object(Key="plain", Body=b"of the test")
    with monkeypatch.context() as patch:
        patch.setattr(objects, "copy", meanwhile)
        getattr(copy, act)()
    assert {"late"} <= {*copy.late_writes()} <= {"late", "folder/deep"}
    copy.undo()
    assert keys(copy) == before | ({"plain": b"of the test"} if act == "push" else {})
    if act == "push":
        copy.pop()
        assert keys(copy) == before


def test_an_object_that_is_written_again_while_it_is_put_back_takes_a_clone(copy, monkeypatch):
    before, bucket, copying = keys(copy), copy.client().value, objects.copy
    bucket.put_object(Key="plain", Body=b"of the test")
    with monkeypatch.context() as patch:
        patch.setattr(objects, "copy", lambda *asked: (copying(*asked), bucket.put_object(Key="plain", Body=b"late")))
        with pytest.raises(NeedsClone, match="plain"):
            copy.undo()
    copy.renew()
    assert keys(copy) == before
    assert copy.undo().path == "nothing"


def test_only_what_was_put_back_in_the_last_second_is_asked_for_after_the_next_test(copy, monkeypatch):
    bucket, copying = copy.client().value, objects.copy
    bucket.put_object(Key="plain", Body=b"of the test")
    with monkeypatch.context() as patch:
        patch.setattr(objects, "copy", lambda *asked: (copying(*asked), time.sleep(1.1)))  # as of many objects
        copy.undo()
    asked = []
    monkeypatch.setattr(objects, "described", lambda _, __, key: asked.append(key))
    assert copy.undo().path == "nothing"
    assert asked == []


def test_an_object_that_stands_for_a_folder_is_put_back(store):
    def folder(target):
        target.connect().put_object(Key="folder/", Body=b"", ContentType="application/x-directory")

    store.build("folder", "one", folder)
    copy = store.checkout("folder", "one")
    bucket = copy.client().value
    bucket.Object("folder/").delete()
    bucket.put_object(Key="another/", Body=b"")
    assert copy.undo().rows == 2
    assert [one.key for one in bucket.objects.all()] == ["folder/"]
    assert bucket.Object("folder/").content_type == "application/x-directory"
    store.drop("one")


def test_a_copy_without_a_template_is_refused(store):
    with pytest.raises(TemplateError):
        store.checkout("never made", "one")


def test_a_copy_and_its_layers_outlive_the_sweep_of_another_run(server, store, copy):
    copy.client().value.put_object(Key="layer", Body=b"1")
    copy.push()
    with contextlib.closing(S3().open(server.endpoint, server.spec)) as other, pytest.raises(IsolationError):
        other.checkout("key", "one")
    copy.client().value.Object("layer").delete()
    assert copy.undo().path == "copy"
    assert copy.client().value.Object("layer").get()["Body"].read() == b"1"
    copy.pop()


def test_what_a_run_of_this_machine_left_is_swept_by_the_next(server, store):
    store.build("key", "left", fill)
    store.checkout("key", "left").push()
    assert {name[:10] for name in buckets(store)} >= {"left", "seatrial-l"}
    store.close()  # as when the process dies
    with contextlib.closing(S3().open(server.endpoint, server.spec)) as following:
        assert {name for name in buckets(following) if name == "left" or name.startswith("seatrial-l")} == set()


def test_a_container_of_the_same_name_with_the_same_paths_leaves_our_copies_alone(server, tmp_path, monkeypatch):
    """Its cache is another folder, in which it does not see our locks."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("SEATRIAL_CACHE", str(cache))
    with contextlib.closing(S3().open(server.endpoint, server.spec)) as ours:
        ours.build("key", "in_use", fill)
        ours.checkout("key", "in_use")
        held = {name for name in buckets(ours) if "in-use" in name}
        assert held
        cache.rename(tmp_path / "not seen from there")
        with contextlib.closing(S3().open(server.endpoint, server.spec)) as other:
            assert held <= buckets(other)
        ours.drop("in_use")


def test_another_machine_leaves_our_copies_alone_for_a_day_and_takes_our_template(copy, store, theirs, monkeypatch):
    with theirs("second") as other:
        assert copy.address.database in buckets(store)
        assert other.find("key")
        assert other.build("key", "two", fill) is False
        other.checkout("key", "two")
        other.drop("two")
    assert copy.undo().path == "nothing"
    monkeypatch.setattr(stores, "_LOST", timedelta(seconds=-1))
    with theirs("third") as later:
        assert copy.address.database not in buckets(later)
        assert later.find("key")


def test_a_template_that_was_not_finished_is_none(server, store, monkeypatch):
    store._make(stores._prefix("half") + "00", "building")
    assert not store.find("half")
    assert store.build("half", "one", fill)
    monkeypatch.setattr(stores, "_LOST", timedelta(seconds=-1))
    with contextlib.closing(S3().open(server.endpoint, server.spec)) as following:
        [template] = [name for name in buckets(following) if name.startswith(stores._prefix("half"))]
        assert not template.endswith("-00")
        assert following.find("half")


def test_a_kept_copy_is_there_when_it_is_whole_and_stays_wherever_its_keeper_was_killed(server, store, monkeypatch):
    def there(name):
        admin = replace(server.endpoint.admin, database=name)
        return server.spec.program.answers(replace(server.endpoint, admin=admin))

    def killed(*asked):
        raise KeyboardInterrupt

    store.build("key", "one", fill)
    store.checkout("key", "one")
    store.checkout("key", "two")
    with monkeypatch.context() as patch:
        patch.setattr(objects, "copy", killed)
        with pytest.raises(KeyboardInterrupt):
            store.keep("one", "mine_dev", forever=True)
    assert not there("mine-dev")
    with monkeypatch.context() as patch:
        patch.setattr(store._notes, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            store.keep("two", "yours_dev", forever=True)
    assert there("yours-dev")
    monkeypatch.setattr(stores, "_LOST", timedelta(seconds=-1))
    with contextlib.closing(S3().open(server.endpoint, server.spec)) as following:
        assert "mine-dev" not in buckets(following)
        assert "yours-dev" in buckets(following)
        following._remove("yours-dev")


def test_old_templates_make_room(store, monkeypatch):
    monkeypatch.setattr(stores, "_LOST", timedelta(seconds=-1))
    monkeypatch.setattr(stores, "_MOST_TEMPLATES", 2)
    for key in ("first", "second", "third"):
        store.build(key, "one", fill)
    assert len([name for name in buckets(store) if name.startswith("seatrial-t-")]) == 2
    assert store.find("third")


def test_on_a_server_of_somebody_elses_his_buckets_stay_and_ours_are_made_beside_them(server, store, tmp_path):
    store._client.create_bucket(Bucket="theirs")
    admin = server.endpoint.admin
    spec = S3().spec(
        Requirements.of(project=tmp_path, url=f"http://{admin.user}:{admin.password}@127.0.0.1:{admin.port}/")
    )
    found = Url().reserve(spec)
    found.start()
    with contextlib.closing(S3().open(found.endpoint, spec)) as elsewhere:
        elsewhere.build("key", "mine", fill)
        with pytest.raises(Refused, match="is not ours"):
            elsewhere.checkout("key", "theirs")
        assert "theirs" in buckets(elsewhere)
        elsewhere.drop("mine")
    store._client.delete_bucket(Bucket="theirs")
