"""Folders are private, short enough for a socket, and somewhere that can be written."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from seatrial.core import folders
from seatrial.core.locks import FileLock


@pytest.fixture
def store(tmp_path):
    (tmp_path / "cache").mkdir()
    yield tmp_path / "cache"
    for root in folders.running(tmp_path / "cache"):
        shutil.rmtree(root, ignore_errors=True)


def test_the_cache_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "a" / "b"))
    place = folders.cache()
    assert place == folders.Place(path=tmp_path / "a" / "b")
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o700


def test_the_cache_follows_the_desktop_s_conventions(monkeypatch, tmp_path):
    monkeypatch.delenv("SEATRIAL_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(folders.sys, "platform", "linux")
    assert folders.cache().path == tmp_path / ".cache" / "seatrial"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert folders.cache().path == tmp_path / "xdg" / "seatrial"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert folders.cache().path == tmp_path / ".cache" / "seatrial"
    monkeypatch.setattr(folders.sys, "platform", "darwin")
    assert folders.cache().path == tmp_path / "Library" / "Caches" / "seatrial"


def test_without_a_home_that_can_be_written_a_temporary_folder_is_taken_and_the_reason_told(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "tmp").mkdir()
    monkeypatch.delenv("SEATRIAL_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.setattr(folders.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    place = folders.cache()
    assert place.path.parent == tmp_path / "tmp"
    assert str(tmp_path / "file") in place.reason
    assert "Not a directory" in place.reason


def test_a_folder_of_somebody_else_is_not_used(monkeypatch, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("SEATRIAL_CACHE", str(theirs))
    monkeypatch.setattr(folders.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    monkeypatch.setattr(folders, "_uid", lambda: 54321)
    with pytest.raises(folders.ProviderError) as caught:
        folders.cache()
    assert f"{theirs}: it belongs to another user" in caught.value.cause


def test_a_cache_is_tagged_so_that_backups_leave_it_out(monkeypatch, tmp_path):
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path))
    assert folders.cache() == folders.Place(path=tmp_path)
    assert (tmp_path / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55")
    (tmp_path / "notes.txt").touch()
    assert folders.cache() == folders.Place(path=tmp_path)


def test_in_a_folder_with_files_of_others_the_cache_is_a_folder_of_its_own_and_the_reason_told(monkeypatch, tmp_path):
    for name in ("thesis", "history/2024", "sqlite"):
        (tmp_path / name / "in it").mkdir(parents=True)
        monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / Path(name).parts[0]))
        place = folders.cache()
        assert place == folders.cache()
        assert place.path == tmp_path / Path(name).parts[0] / "seatrial"
        assert place.reason == f"{place.path.parent}: there are files of others in it"
        assert stat.S_IMODE(place.path.stat().st_mode) == 0o700


def test_the_cache_of_another_program_is_none_of_ours(monkeypatch, tmp_path):
    (tmp_path / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# created by pip\n")
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path))
    assert folders.cache().path == tmp_path / "seatrial"


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_in_a_folder_that_others_may_write_in_the_cache_is_a_private_folder_of_its_own(monkeypatch, tmp_path, mode):
    tmp_path.chmod(mode)
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path))
    place = folders.cache()
    assert (place.path, place.reason) == (tmp_path / "seatrial", f"{tmp_path}: others may write in it")
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(tmp_path.stat().st_mode) == mode


def test_where_a_folder_seatrial_of_somebody_s_is_in_the_way_another_place_is_taken(monkeypatch, tmp_path):
    (tmp_path / "src" / "seatrial" / "tests").mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "src"))
    monkeypatch.setattr(folders.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    place = folders.cache()
    assert place.path.parent == tmp_path / "tmp"
    assert "seatrial: there are files of others in it" in place.reason


@pytest.mark.parametrize(
    "held",
    [
        ("ports.lock", "secret", "secret.lock", "fresh/a.tar", "run/x"),
        tuple(f"sqlite/{n}/x" for n in ("templates", "lasting", "kept")),
    ],
)
def test_a_cache_from_before_there_were_tags_is_used_on(monkeypatch, tmp_path, held):
    for name in held:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path))
    assert folders.cache() == folders.Place(path=tmp_path)


def test_processes_that_start_at_once_agree_on_the_cache(monkeypatch, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        for number in range(100):
            monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / str(number)))
            assert set(pool.map(lambda _: folders.cache().path, range(4))) == {tmp_path / str(number)}


def test_a_server_s_folder_stays_where_it_is(store):
    first = folders.instance(store, "12345678")
    assert folders.instance(store, "12345678").path == first.path
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(first.path.parent.stat().st_mode) == 0o700


def test_without_room_in_memory_the_disk_is_taken_and_the_reason_told(monkeypatch, store):
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: SimpleNamespace(free=64 * 2**20))
    monkeypatch.setattr(folders.sys, "platform", "linux")
    place = folders.instance(store, "12345678")
    assert not place.path.is_relative_to("/dev/shm")
    assert "only 64 MB of memory are free there" in place.reason


def test_a_running_server_s_folder_is_found_again_when_the_memory_is_full(monkeypatch, store):
    first = folders.instance(store, "12345678").path
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    assert folders.instance(store, "12345678").path == first


def test_sockets_fit_into_the_folder_however_long_the_cache_s_path_is(monkeypatch, tmp_path):
    store = tmp_path / ("x" * 100)
    store.mkdir()
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    path = folders.instance(store, "12345678").path
    assert len(os.fsencode(path / ".s.PGSQL.65535")) <= folders.SOCKET_PATH
    shutil.rmtree(path.parent)


def test_servers_of_different_caches_never_meet(tmp_path):
    assert not set(folders.running(tmp_path / "a")) & set(folders.running(tmp_path / "b"))


def test_what_a_deleted_cache_left_outside_itself_is_deleted_unless_it_runs(monkeypatch, tmp_path):
    memory = Path(tempfile.mkdtemp(prefix="st-"))  # not pytest's folder, whose path is too long for a socket
    monkeypatch.setattr(folders, "_MEMORY", memory)
    monkeypatch.setattr(folders, "ROOM", 0)
    monkeypatch.setattr(folders.sys, "platform", "linux")
    left, running, kept = (tmp_path / name for name in ("left", "running", "kept"))
    roots = {}
    for store in (left, running, kept):
        store.mkdir()
        roots[store] = folders.instance(store, "12345678").path.parent
        assert roots[store].parent == memory
    shutil.rmtree(left)
    shutil.rmtree(running)
    with FileLock(roots[running] / "12345678" / "running"):
        (tmp_path / "new").mkdir()
        folders.instance(tmp_path / "new", "12345678")
    assert not roots[left].exists()
    assert roots[running].exists()
    assert roots[kept].exists()
    shutil.rmtree(memory)


def test_runs_that_start_at_once_may_delete_the_same_leftovers(monkeypatch, tmp_path):
    memory = tmp_path / "memory"
    for number in range(200):
        left = memory / f"seatrial-{os.geteuid()}-{number}"
        left.mkdir(parents=True)
        (left / "cache").write_text("/no/such/cache")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(folders._tidy, [memory] * 4))
    assert list(memory.iterdir()) == []


def test_names_are_short_and_tell_texts_apart():
    assert folders.digest("a") != folders.digest("b")
    assert len(folders.digest("a", 12)) == 12
    assert Path(folders.digest("a/b")).name == folders.digest("a/b")


def test_what_was_not_used_for_long_goes_although_another_process_deletes_at_the_same_time(tmp_path):
    for name, age in (("new", 0), ("recent", 50), ("old", 200)):
        for path in (tmp_path / f"{name}.json", tmp_path / f"{name}.lock"):
            path.touch()
            os.utime(path, (1000 - age, 1000 - age))
    folders.remove_unused([*tmp_path.glob("*.json"), tmp_path / "deleted meanwhile.json"], 100)
    assert {path.name for path in tmp_path.iterdir()} == {"new.json", "new.lock", "recent.json", "recent.lock"}
    folders.remove_unused([], 100)
