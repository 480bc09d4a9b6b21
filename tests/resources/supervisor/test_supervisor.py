"""A server lives as long as somebody holds it, and not much longer, whoever is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from seatrial.core import processes, wait
from seatrial.errors import ProviderError
from seatrial.resources.supervisor import client, process
from seatrial.resources.supervisor.client import Hold
from seatrial.resources.supervisor.process import Supervisor

HOLDER = """
import sys, time
from pathlib import Path
from seatrial.resources.supervisor import client
from seatrial.resources.supervisor.instance import Instance
hold = client.attach(Instance(folder=Path(sys.argv[1])), "this", 0.05)
print("held", flush=True)
time.sleep(300)
"""


def started(instance):
    """The server's pid, once it runs what it is told to run."""
    assert wait.until(lambda: "serving" in (instance.log.read_text() if instance.log.exists() else ""), timeout=20)
    assert wait.until(lambda: client.ask(instance, "status") is not None, timeout=20)  # its supervisor listens
    return instance.read("state.json")["pid"]


def supervisor_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def gone(pid, start, timeout=5.0):
    """Whether the process ends; one without a start had ended before it could be asked."""
    return not start or wait.until(lambda: processes.started(pid) != start, timeout=timeout)


def attached(instance, want="this", idle=0.05):
    found = None

    def tried():
        nonlocal found
        found = client.attach(instance, want, idle)
        return found is not None

    assert wait.until(tried, timeout=20)
    return found


def test_the_server_ends_when_its_last_holder_lets_go(instance, orders):
    first = client.spawn(instance, orders())
    pid = started(instance)
    start = processes.started(pid)
    second = attached(instance)
    first.close()
    wait.pause(0.2)
    assert second.alive()
    assert processes.started(pid) == start
    second.close()
    assert gone(pid, start)
    assert wait.until(lambda: not instance.alive, timeout=5)
    assert not instance.socket.exists()
    assert not (instance.folder / "state.json").exists()


def test_a_server_whose_holder_is_killed_ends_after_the_idle_time(instance, orders):
    first = client.spawn(instance, orders())
    pid = started(instance)
    start = processes.started(pid)
    with subprocess.Popen([sys.executable, "-c", HOLDER, instance.folder], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        first.close()
        wait.pause(0.2)
        assert processes.started(pid) == start
        holder.kill()
    assert gone(pid, start)


def test_a_server_dies_with_its_supervisor(instance, orders):
    hold = client.spawn(instance, orders())
    pid = started(instance)
    start = processes.started(pid)
    os.kill(supervisor_of(pid), signal.SIGKILL)
    assert gone(pid, start)
    assert wait.until(lambda: not hold.alive(), timeout=5)
    hold.close()


def test_a_supervisor_that_is_asked_to_end_ends_its_server_its_own_way(instance, orders):
    hold = client.spawn(instance, orders())
    pid = started(instance)
    start = processes.started(pid)
    os.kill(supervisor_of(pid), signal.SIGTERM)
    assert gone(pid, start)
    assert wait.until(lambda: not hold.alive(), timeout=5)
    assert hold.ended is not None
    assert (hold.ended.status, hold.ended.asked) == (0, True)
    hold.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_supervisor_outlives_the_terminal_s_signals(instance, orders, number):
    hold = client.spawn(instance, orders())
    supervisor = supervisor_of(started(instance))
    os.kill(supervisor, number)
    wait.pause(0.05)
    assert hold.alive()
    assert os.getsid(supervisor) != os.getsid(0)
    hold.close()


def test_until_it_forks_the_server_a_supervisor_imports_only_what_is_light():
    look = (
        "import sys; sys.path.append(sys.argv[1]); from seatrial.resources.supervisor import process;"
        "process.processes.dying_with(1, 9); print(*sys.modules)"
    )
    root = str(Path(client.__file__).parents[3])
    done = subprocess.run([sys.executable, "-I", "-S", "-c", look, root], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "seatrial.core.guise" in imported
    heavy = {"ctypes", "enum", "functools", "json", "pathlib", "re", "signal", "socket", "subprocess", "typing"}
    assert imported.isdisjoint(heavy)


def test_every_holder_learns_at_once_that_the_server_died_and_why(instance, orders):
    first = client.spawn(instance, orders())
    pid = started(instance)
    second = attached(instance)
    os.kill(pid, signal.SIGKILL)
    for hold in (first, second):
        assert wait.until(lambda hold=hold: not hold.alive(), timeout=5)
        assert hold.ended is not None
        assert (hold.ended.status, hold.ended.asked) == (-signal.SIGKILL, False)
        assert "serving" in hold.ended.log
        hold.close()


def test_after_its_death_the_server_can_be_started_anew(instance, orders):
    first = client.spawn(instance, orders())
    os.kill(started(instance), signal.SIGKILL)
    assert wait.until(lambda: not first.alive(), timeout=5)
    client.settle(instance)
    instance.log.unlink()
    second = client.spawn(instance, orders())
    started(instance)
    assert second.alive()
    first.close()
    second.close()


def test_a_command_that_can_t_be_run_is_told_in_the_log(instance, orders):
    hold = client.spawn(instance, orders(argv=["/nowhere/at/all"]))
    assert wait.until(lambda: not hold.alive(), timeout=20)
    assert hold.ended is not None
    assert hold.ended.status == 127
    assert "cannot run /nowhere/at/all: No such file or directory" in hold.ended.log
    hold.close()


def test_a_server_that_ignores_its_stop_signal_can_still_be_ended(instance, orders, monkeypatch):
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('serving', flush=True); time.sleep(300)"
    hold = client.spawn(instance, orders(stubborn, stop_signal=signal.SIGKILL))
    pid = started(instance)
    start = processes.started(pid)
    assert client.down(instance)
    assert processes.started(pid) != start
    assert not hold.alive()
    hold.close()


def test_a_pinned_server_needs_no_holder(instance, orders):
    hold = client.spawn(instance, orders())
    pid = started(instance)
    start = processes.started(pid)
    assert client.pin(instance, up=True)
    hold.close()
    wait.pause(0.3)
    assert processes.started(pid) == start
    assert client.pin(instance, up=False)
    assert gone(pid, start)
    assert wait.until(lambda: not client.pin(instance, up=True), timeout=5)


def test_down_ends_the_server_whoever_holds_it(instance, orders):
    hold = client.spawn(instance, orders(idle=60))
    pid = started(instance)
    start = processes.started(pid)
    assert client.down(instance)
    assert processes.started(pid) != start
    assert not hold.alive()
    assert not client.down(instance)
    hold.close()


def test_a_server_with_other_settings_is_not_handed_out(instance, orders):
    hold = client.spawn(instance, orders())
    started(instance)
    found = attached(instance, want="another")
    assert isinstance(found, client.Status)
    assert (found.running, found.holders) == (True, 1)
    hold.close()


def test_a_holder_of_a_server_that_has_answered_need_not_ask_it(instance, orders):
    first = client.spawn(instance, orders())
    started(instance)
    second = attached(instance)
    assert not second.ready
    first.tell_ready()
    third = attached(instance)
    assert third.ready
    for hold in (first, second, third):
        hold.close()


def test_many_holders_at_once(instance, orders):
    first = client.spawn(instance, orders())
    started(instance)
    holds = []
    threads = [threading.Thread(target=lambda: holds.append(attached(instance))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = client.ask(instance, "status")
    assert status is not None
    assert status["holders"] == 51
    for hold in (first, *holds):
        hold.close()


def test_a_supervisor_that_hears_nonsense_stays(instance, orders):
    hold = client.spawn(instance, orders())
    started(instance)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(instance.socket))
        stranger.sendall(b'{"op": 1}\n[]\nnot json\n{"op": "lease"}\n{}\n')
        answers = b""
        while answers.count(b"\n") < 5:
            answers += stranger.recv(4096)
    assert b'"ok": true' not in answers
    assert hold.alive()
    hold.close()


def test_a_forged_state_file_harms_no_bystander(instance):
    with subprocess.Popen(["sleep", "60"]) as bystander:
        start = processes.started(bystander.pid)
        for nonce, when in (("n0nce", start), ("", start), ("n0nce", "")):
            instance.write("state.json", {"pid": bystander.pid, "started": when, "nonce": nonce})
            client.settle(instance)
            assert processes.started(bystander.pid) == start
        bystander.kill()


def test_an_orphan_of_ours_is_ended_before_the_next_start(instance):
    environ = {"PATH": os.environ["PATH"], processes.NONCE: "n0nce"}
    with subprocess.Popen(["sleep", "60"], env=environ) as orphan:
        start = processes.started(orphan.pid)
        instance.write("state.json", {"pid": orphan.pid, "started": start, "nonce": "n0nce"})
        assert wait.until(lambda: instance.orphan() == orphan.pid, timeout=10)
        reaper = threading.Thread(target=orphan.wait)
        reaper.start()
        client.settle(instance)
        reaper.join()
        assert orphan.returncode == -signal.SIGQUIT
    assert not (instance.folder / "state.json").exists()


def test_a_supervisor_that_does_not_end_is_named(instance, orders):
    hold = client.spawn(instance, orders())
    started(instance)
    with pytest.raises(ProviderError) as caught:
        client.settle(instance, timeout=0.02)
    assert str(instance.folder) in caught.value.what
    assert hold.alive()
    hold.close()


def test_a_broken_state_file_is_as_good_as_none(instance):
    (instance.folder / "state.json").write_text("{")
    assert instance.orphan() == 0
    client.settle(instance)


def test_nothing_of_the_holder_s_is_left_open_in_the_server(instance, orders, tmp_path):
    program = (
        "import os; print(sorted(os.listdir('/proc/self/fd')), 'serving', flush=True)\nimport time; time.sleep(300)"
    )
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        hold = client.spawn(instance, orders(program, stop_signal=signal.SIGKILL))
        started(instance)
    # the three standard ones, and the one that lists them
    assert instance.log.read_text().startswith("['0', '1', '2', '3'] serving")
    hold.close()


def test_a_hold_on_a_supervisor_that_vanished_is_not_alive():
    ours, theirs = socket.socketpair()
    hold = Hold(ours)
    assert hold.alive()
    theirs.close()
    assert not hold.alive()
    assert hold.ended == client.Ended(status=None, asked=False, log="")
    hold.close()


LISTENING = """
import signal, socket, sys, time
signal.signal(15, lambda *_: sys.exit(0))
there = socket.socket(socket.AF_UNIX)
there.bind({path!r})
there.listen()
print('serving', flush=True)
time.sleep(300)
"""


PARENT = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal, time; {ignores}; time.sleep(300)"])
print(child.pid, "serving", flush=True)
{end}
"""
IGNORES = "signal.signal(15, signal.SIG_IGN)"


@pytest.mark.parametrize("ignores", ["pass", IGNORES])
@pytest.mark.parametrize("end", ["child.wait()", "sys.exit(3)"], ids=["is ended", "ends"])
def test_what_a_server_has_started_ends_with_it(instance, orders, ignores, end):
    """As that of a command which is a script: it would keep the port, and whatever else it has."""
    hold = client.spawn(instance, orders(PARENT.format(ignores=ignores, end=end), stop_signal=signal.SIGTERM))
    child, start = first_word(instance)
    hold.close()
    assert gone(child, start, timeout=20)
    assert wait.until(lambda: not instance.alive, timeout=20)


def test_nobody_waits_for_what_has_ended_and_is_not_reaped(monkeypatch):
    """As orphans in a container whose first process is no init."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", ""], start_new_session=True) as child:
        assert wait.until(lambda: not processes.members(child.pid), timeout=20)
        supervisor = object.__new__(Supervisor)
        supervisor.pid = child.pid
        monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it waits"))
        supervisor._end_group()
        monkeypatch.undo()


def test_what_the_server_of_a_killed_supervisor_has_started_is_ended_before_the_next_start(instance, orders):
    hold = client.spawn(instance, orders(PARENT.format(ignores=IGNORES, end="child.wait()")))
    child, start = first_word(instance)
    server = started(instance)
    os.kill(supervisor_of(server), signal.SIGKILL)
    assert wait.until(lambda: not instance.alive and instance.orphan() == child, timeout=20)
    client.settle(instance)
    assert gone(child, start, timeout=0)
    hold.close()


def test_a_zombie_that_nobody_reaps_does_not_keep_a_supervisor_from_its_end(monkeypatch):
    """As where pytest itself is the first process of a container, who adopts what a server has left."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", ""], start_new_session=True) as dead:
        assert wait.until(lambda: not processes.started(dead.pid), timeout=20)
        monkeypatch.setattr(process.time, "sleep", lambda _: pytest.fail("it waits for the dead"))
        supervisor = object.__new__(process.Supervisor)
        supervisor.pid = dead.pid
        supervisor._end_group()


def first_word(instance):
    """The pid that a server prints before it says that it serves, and when that process started."""
    assert wait.until(lambda: "serving" in (instance.log.read_text() if instance.log.exists() else ""), timeout=20)
    pid = int(instance.log.read_text().split()[0])
    return pid, processes.started(pid)


def test_a_socket_that_a_server_makes_elsewhere_goes_with_it(instance, orders):
    elsewhere = instance.folder.parent / "elsewhere"
    hold = client.spawn(instance, orders(LISTENING.format(path=str(elsewhere)), outside=[str(elsewhere)]))
    started(instance)
    assert elsewhere.is_socket()
    hold.close()
    assert wait.until(lambda: not instance.alive, timeout=20)
    assert not elsewhere.exists()


def test_what_a_killed_supervisor_left_elsewhere_is_swept_by_the_next_start(instance, orders):
    elsewhere = instance.folder.parent / "elsewhere"
    hold = client.spawn(instance, orders(LISTENING.format(path=str(elsewhere)), outside=[str(elsewhere)]))
    pid = started(instance)
    start = processes.started(pid)
    os.kill(supervisor_of(pid), signal.SIGKILL)
    assert gone(pid, start)
    hold.close()
    client.settle(instance)
    assert not elsewhere.exists()


def test_a_socket_that_somebody_listens_to_and_a_file_are_left_alone(instance):
    heard, file = instance.folder.parent / "heard", instance.folder.parent / "file"
    file.touch()
    instance.write("launch.json", {"outside": [str(heard), str(file), str(instance.folder / "nothing")]})
    with socket.socket(socket.AF_UNIX) as bystander:
        bystander.bind(str(heard))
        bystander.listen()
        client.settle(instance)
        assert heard.is_socket()
    client.settle(instance)
    assert not heard.exists()
    assert file.exists()


def test_a_socket_that_a_killed_server_leaves_in_its_folder_goes_too(instance, orders):
    inside = instance.folder / "x.sock"
    hold = client.spawn(instance, orders(LISTENING.format(path=str(inside)), stop_signal=signal.SIGKILL))
    started(instance)
    assert inside.is_socket()
    hold.close()
    assert wait.until(lambda: not instance.alive, timeout=20)
    assert not inside.exists()


STUBBORN = """
import signal, sys, time
signal.signal(15, lambda *_: ({last}))
print('serving', flush=True)
while True: time.sleep(300)
"""


def test_a_server_that_hangs_when_it_is_told_to_end_while_it_starts_is_soon_killed(instance, orders):
    hold = client.spawn(instance, orders(STUBBORN.format(last="None")))
    os.kill(supervisor_of(started(instance)), signal.SIGTERM)
    assert wait.until(lambda: not hold.alive(), timeout=30)
    assert hold.ended is not None
    assert hold.ended.status == -signal.SIGKILL  # and not by SIGQUIT, which comes when all patience is at an end
    hold.close()


def test_a_server_that_was_ready_is_given_time_to_end(instance, orders):
    hold = client.spawn(instance, orders(STUBBORN.format(last="time.sleep(2), sys.exit(0)")))
    pid = started(instance)
    hold.tell_ready()
    os.kill(supervisor_of(pid), signal.SIGTERM)
    assert wait.until(lambda: not hold.alive(), timeout=30)
    assert hold.ended is not None
    assert hold.ended.status == 0
    hold.close()


def test_a_server_that_is_told_to_be_ready_can_be_held_by_others_at_once(instance, orders):
    hold = client.spawn(instance, orders())
    hold.tell_ready()  # long before the supervisor listens
    second = client.attach(instance, "this", 0.05)
    assert isinstance(second, Hold)
    assert second.ready
    for one in (hold, second):
        one.close()
