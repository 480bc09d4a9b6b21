"""Under which user a server runs: PostgreSQL refuses root, and initdb a user without an entry in the password file.

A guise is a word: "" is as we are; "namespace:UID:GID" is a user namespace in which we bear another user id, so that
every file stays our own and none need be given away; "user:NAME" is another user of the machine.
The supervisor imports this at each start, and so does each child that `choose` tries a guise with: only the lightest
modules of the standard library. `pathlib`, `typing` and `subprocess` take longer than all the rest together.
"""

from __future__ import annotations

import os
import pwd
import sys

from seatrial.core import processes
from seatrial.errors import ProviderError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_USERS = ("nobody", "postgres")
_CLOSED = 3

_PROGRAM = "import sys; sys.path.append({root!r}); from seatrial.core.guise import main; main()"


def command(guise: str, argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` under a guise, from any process, however many threads it has."""
    if not guise:
        return list(argv)
    program = _PROGRAM.format(root=__file__.rsplit("/", 3)[0])
    return [sys.executable, "-I", "-S", "-c", program, guise, *argv]


def choose(executable: Path) -> tuple[str, bool]:
    """The guise for running `executable`, and whether that file is closed to it and must be copied.

    Costs nothing for an ordinary user; for root one short child process each.

    Raises:
        ProviderError: none will do; with the reason for each.
    """
    uid = os.geteuid()
    if uid and _entry(uid):
        return "", False
    reasons = []
    for guise in _candidates(uid):
        closed, reason = _try(guise, executable)
        if not reason:
            return guise, closed
        reasons.append(f"{guise.split(':')[0]}: {reason}")
    if uid:
        # The server itself does not mind; only initdb will, and it says so.
        return "", False
    raise ProviderError(
        f"{executable.name} refuses to run as root, and no other user can be had",
        cause="; ".join(reasons),
        fix="run the tests as an ordinary user, or allow user namespaces to this container",
    )


def enter(guise: str) -> None:
    """Take on a guise, for good. For a single-threaded child, before it executes a server."""
    word, _, rest = guise.partition(":")
    if word == "namespace":
        uid, gid = os.geteuid(), os.getegid()
        inner_uid, inner_gid = rest.split(":")
        processes.unshare_user()
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{inner_uid} {uid} 1")
        _write("/proc/self/gid_map", f"{inner_gid} {gid} 1")
    elif word == "user":
        entry = pwd.getpwnam(rest)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)


def owner(guise: str) -> tuple[int, int]:
    """The user and group that must own what a server under this guise writes; -1 where we own it ourselves."""
    word, _, name = guise.partition(":")
    if word != "user":
        return -1, -1
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


def main() -> None:
    """Child process: take on the guise in the first argument, then become the command in the others."""
    guise, argv = sys.argv[1], sys.argv[2:]
    try:
        enter(guise)
        if guise.startswith("user:") and not _can_execute(argv[0]):
            sys.exit(_CLOSED)
        os.execv(argv[0], argv)  # noqa: S606 - we exist to run programs; this one is the provider's
    except OSError as error:
        sys.stderr.write(f"{error.strerror or error}")
        sys.exit(1)


def _candidates(uid: int) -> list[str]:
    found = []
    inside = next((entry for name in _USERS if (entry := _named(name)) and entry.pw_uid), None)
    if inside:
        found.append(f"namespace:{inside.pw_uid}:{inside.pw_gid}")
    if not uid:
        found.extend(f"user:{name}" for name in _USERS if _named(name))
    return found


def _try(guise: str, executable: Path) -> tuple[bool, str]:
    import subprocess

    done = subprocess.run(
        command(guise, [str(executable), "--version"]),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    closed = done.returncode == _CLOSED
    return closed, "" if closed or not done.returncode else done.stderr.strip() or f"exit status {done.returncode}"


def _can_execute(path: str) -> bool:
    try:
        os.stat(path)  # noqa: PTH116 - see above: a plain path
    except OSError:
        return False
    return os.access(path, os.X_OK)


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _named(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 - see above: a plain path
        file.write(text)
