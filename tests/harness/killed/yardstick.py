"""What two seconds are to a machine that does much else."""

from __future__ import annotations

import subprocess
import sys

from seatrial.core import wait

PROMISED = 2.0
"""Seconds after the idle time, or after the death of the supervisor, in which all must have ended."""
YARDS = 100


class Yardstick:
    """How long a bare process takes to start, to be killed and to be gone: here, and now.

    On a machine that does nothing else that is 10 to 20 ms, and what is promised in two seconds takes some 0.2 s: PostgreSQL
    writes its last checkpoint, and three processes end. Where a hundred of these take longer than two seconds, the
    machine is so slow, or so busy, that they are the promise's measure in the place of the clock's.
    """

    def __init__(self):
        self._longest = self._lay()

    def allowed(self, idle=0.0):
        """The seconds that something promised in `PROMISED` may have taken until now."""
        self._longest = max(self._longest, self._lay())
        return idle * max(self._longest * YARDS / PROMISED, 1) + max(PROMISED, self._longest * YARDS)

    @staticmethod
    def _lay():
        before = wait.now()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", "print(1, flush=True); input()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with process:
            process.stdout.readline()
            process.kill()
        return wait.now() - before
