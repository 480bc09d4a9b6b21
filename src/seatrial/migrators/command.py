"""A step that is a command of the project's: "prisma migrate deploy", "python manage.py migrate"."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from seatrial.core.children import for_a_shell, search_path
from seatrial.core.importing import export_it
from seatrial.core.redact import redact
from seatrial.errors import ConfigError, TemplateError
from seatrial.migrators import content
from seatrial.resources.protocol import Address, Target

_LINES = 50


class Command:
    """Runs in the project's root, without a shell; finds the database by the resource's variables.

    Args:
        text: the command line.
        root: the project's root.
        inputs: whether it is known what it depends on.
        run: a name of this run, the same for all of its workers; empty for one of this object's own.
        variables: of the resource, so that they lead to an address: it runs as the owner, whatever `role` the app has.
        note: told that the step runs again in each run, where there are no `inputs`.
    """

    def __init__(
        self,
        text: str,
        *,
        root: Path,
        inputs: bool = False,
        run: str = "",
        variables: Callable[[Address], Mapping[str, str]],
        note: Callable[[str], None],
    ) -> None:
        self.label = text
        self._root = root
        self._inputs = inputs
        self._run = run or secrets.token_hex(8)
        self._variables = variables
        self._note = note
        self._argv = split(text)

    def hash(self) -> str:
        """A key of the command. Without inputs: of this run, since nothing tells what it depends on."""
        if not self._inputs:
            self._note(f"`{self.label}` runs again in each run: `inputs` (globs of the files it reads) would save that")
            return content.key(self.label, self._run)
        return content.key(self.label)

    def migrate(self, target: Target) -> None:
        """Run it to its end: its address is what its environment says.

        Raises:
            TemplateError: it failed; with its output.
        """
        program = find_program(self._argv[0], self._root)
        if program is None:
            raise ConfigError(
                f"`{self.label}`: there is no program {self._argv[0]}",
                cause=f"it is neither on PATH, nor beside {sys.executable}, nor in node_modules/.bin",
                fix=f"install {self._argv[0]}, or correct the name",
            )
        variables = self._variables(target.address)
        try:
            done = subprocess.run(
                [program, *self._argv[1:]],
                cwd=self._root,
                env=os.environ | {"PATH": search_path(self._root), **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise TemplateError(
                f"`{self.label}` could not be run",
                cause=f"{program}: {error.strerror}",
                fix=f"look at {program}: is it a program for this machine, or a script whose first line names one?",
            ) from error
        if done.returncode:
            told = printed(done.stdout, target)
            raise TemplateError(
                f"`{self.label}` failed with status {done.returncode}",
                cause=told or "it printed nothing",
                fix=export_it(told) or f"mend the command, or what it runs{led_by(variables)}",
            )


def led_by(variables: Mapping[str, str]) -> str:
    """The end of a fix: what a program must read, for one with an address of its own finds another database."""
    return f"; the address of the database is in {', '.join(variables)}" if variables else ""


def printed(output: str, target: Target) -> str:
    """What a program has printed, for the error that tells of its failure: all of it, up to many lines."""
    lines = output.strip().splitlines()
    if len(lines) > 2 * _LINES:  # Node begins with what went wrong, Python ends with it
        lines = [*lines[:_LINES], f"... ({len(lines) - 2 * _LINES} lines)", *lines[-_LINES:]]
    return redact("\n".join(lines), target.address.password)


def split(text: str) -> list[str]:
    """The words of a command line. Raises `ConfigError` for what only a shell understands."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"`{text}` is no command: {error}", fix="close the quotation") from None
    asks = for_a_shell(words)
    if asks == "operator":
        raise ConfigError(
            f"`{text}` needs a shell, and commands run without one",
            fix=f'write a list of commands, one a step, or say so: "sh -c {shlex.quote(text)}"',
        )
    if asks == "variable":
        raise ConfigError(f"`{text}` begins with a variable, as in a shell", fix=f'write "env {text}"')
    return words


def find_program(name: str, root: Path) -> str | None:
    """Where a program is: in the project, beside this Python, on PATH, or among the project's node modules."""
    if "/" in name:
        path = root / name
        return str(path) if os.access(path, os.X_OK) and path.is_file() else None
    return shutil.which(name, path=search_path(root))
