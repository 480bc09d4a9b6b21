"""What we ask the platform about processes: who lives, since when, who listens, how a child dies with its parent.

The supervisor imports this at each start: only the lightest modules of the standard library.
"""

from __future__ import annotations

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NONCE = "SEATRIAL_NONCE"
"""The variable by which a process of ours is known for certain: names, pids and ports are other people's, too."""

_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SIGKILL = 9
"""Of all platforms: `signal` takes longer to import than this whole module."""


def boot() -> str:
    """A name for the time since the machine booted: what was written before it may not have reached the disk."""
    if _LINUX:
        return _read("/proc/sys/kernel/random/boot_id").decode().strip()
    return _output("sysctl", "-n", "kern.boottime")


def started(pid: int) -> str:
    """When a process started, as an opaque word; empty where there is none, or only its zombie."""
    if _LINUX:
        # After the name in parentheses, which may itself hold some: the state, and 19 fields on the start in ticks.
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        return "" if len(fields) < 20 or fields[0] in b"ZX" else fields[19].decode()  # noqa: PLR2004 - see proc(5)
    return _output("ps", "-o", "lstart=", "-p", str(pid))


def is_ours(pid: int, start: str, nonce: str) -> bool:
    """Whether this very process is one that we started: same pid, same start, our nonce in its environment."""
    return pid > 0 and bool(start) and started(pid) == start and bears(pid, nonce)


def bears(pid: int, nonce: str) -> bool:
    """Whether our nonce is in a process's environment: we started it, or something did that we had started."""
    if not nonce:
        return False
    if _LINUX:
        return f"{NONCE}={nonce}".encode() in _read(f"/proc/{pid}/environ").split(b"\0")
    return f"{NONCE}={nonce}" in _output("ps", "-Eww", "-o", "command=", "-p", str(pid)).split()


def send(pid: int, number: int) -> bool:
    """Send a signal; False where there is no such process any more."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def send_group(group: int, number: int) -> bool:
    """Send a signal to a process group; False where nobody is in it, or nobody that we may end."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def dying_with(parent: int, number: int) -> Callable[[], None]:
    """To be called in a child: have the kernel send it `number` when the thread that forked it dies.

    Make it before the fork, since a change of user may close our libraries; call it after, since that change would
    clear it. Where the platform has no such thing, the next start finds the orphan by its nonce.
    """
    if not _LINUX:
        return lambda: None
    import _ctypes  # what ctypes itself calls: its own modules take four times as long to import

    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]  # None is this program, as in ctypes.CDLL(None)

    def ask() -> None:
        _ctypes.call_function(prctl, (_PR_SET_PDEATHSIG, number, 0, 0, 0))
        if os.getppid() != parent:  # it died before we had asked
            os.kill(os.getpid(), _SIGKILL)

    return ask


def adopt_orphans() -> None:
    """From now on the orphans among this process's descendants become its children, where the platform has that."""
    if not _LINUX:
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def members(group: int) -> set[int]:
    """The pids of a process group; zombies are none."""
    return {pid for pid, _, its_group in _table() if its_group == group}


def children(parent: int) -> set[int]:
    """The pids of the processes whose parent this is; zombies are none."""
    return {pid for pid, its_parent, _ in _table() if its_parent == parent}


def descends(pid: int, ancestor: int) -> bool:
    """Whether a process was started by another one, or by one that this has started, as far as its parents live."""
    parents = {one: parent for one, parent, _ in _table()}
    while pid not in (0, ancestor):
        pid = parents.pop(pid, 0)  # once each: pids that are taken anew while the table is read may form a circle
    return pid == ancestor


def _table() -> list[tuple[int, int, int]]:
    """(pid, parent, group) of every process that lives."""
    if not _LINUX:
        rows = (line.split() for line in _output("ps", "-axo", "pid=,ppid=,pgid=,stat=").splitlines())
        return [(int(pid), int(parent), int(group)) for pid, parent, group, stat in rows if "Z" not in stat]
    found = []
    for pid in _all():
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        if fields and fields[0] not in b"ZX":
            found.append((pid, int(fields[1]), int(fields[2])))
    return found


def unshare_user() -> None:
    """Move this single-threaded process into a user namespace of its own. Raises OSError where that is not allowed."""
    flag = 0x10000000  # CLONE_NEWUSER
    if hasattr(os, "unshare"):
        os.unshare(flag)
        return
    if not _LINUX:
        raise OSError("this platform has no user namespaces")
    import ctypes

    if ctypes.CDLL(None, use_errno=True).unshare(flag):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def remove_deserted(path: str) -> bool:
    """Remove a unix socket that nobody listens to any more; what is no socket, or is listened to, stays."""
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode) and not _heard(path):
            os.unlink(path)  # noqa: PTH108 - pathlib takes longer to import than this whole module
            return True
    except OSError:
        return False
    return False


def _heard(path: str) -> bool:
    import socket

    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
    return True


def listener(port: int) -> str:
    """Who listens on a TCP port of this machine, as "postgres (pid 812)"; empty where that can't be found out."""
    for pid in listeners(port):
        name = _read(f"/proc/{pid}/comm").decode().strip() if _LINUX else _output("ps", "-o", "comm=", "-p", str(pid))
        return f"{name.rpartition('/')[2]} (pid {pid})"
    return ""


def listeners(port: int) -> list[int]:
    """The pids of those who listen on a TCP port of this machine, as far as they can be found out."""
    if not _LINUX:
        told = _output("lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fp").splitlines()
        return [int(line[1:]) for line in told if line.startswith("p")]
    sockets = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listening(table, port)}
    return [pid for pid in (_all() if sockets else ()) if not sockets.isdisjoint(_open_files(pid))]


def _all() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - a name is all we need


def _open_files(pid: int) -> Iterator[str]:
    """What a process has open; nothing where that can't be seen."""
    folder = f"/proc/{pid}/fd"
    try:
        files = os.listdir(folder)  # noqa: PTH208 - as above
    except OSError:
        return
    for file in files:
        try:
            yield os.readlink(f"{folder}/{file}")  # noqa: PTH115 - as above
        except OSError:  # it may have been closed meanwhile
            continue


def _listening(table: str, port: int) -> list[str]:
    rows = [line.split() for line in _read(f"/proc/net/{table}").decode().splitlines()[1:]]
    return [row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes longer to import than this whole module
            return file.read()
    except OSError:
        return b""


def _output(*argv: str) -> str:
    import subprocess

    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
