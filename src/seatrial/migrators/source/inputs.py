"""The `inputs` of a resource: files that its steps depend on, besides those that they name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seatrial.errors import ConfigError
from seatrial.migrators import content
from seatrial.resources.protocol import Target


class Inputs:
    """A step that does nothing, and counts.

    Args:
        globs: of files, relative to `root`.
        root: the project's root.
    """

    def __init__(self, globs: Sequence[str], root: Path) -> None:
        self.label = "inputs"
        self._globs = globs
        self._root = root

    def hash(self) -> str:
        """A key of the files' content. Raises `ConfigError` for a glob that names none."""
        return content.of_files([path for glob in self._globs for path in self._matching(glob)], self._root)

    def migrate(self, target: Target) -> None:
        """The steps themselves read the files."""

    def _matching(self, glob: str) -> list[Path]:
        try:
            found = content.matching(glob, self._root)
        except (ValueError, NotImplementedError, IndexError) as error:  # the last for "." before Python 3.13
            raise ConfigError(
                f'inputs: "{glob}" is no glob of files: {error}',
                cause=f"it has to be relative to {self._root}",
                fix="write it as in folder/*.sql; a whole folder is written as folder/**/*",
            ) from None
        if not found:
            raise ConfigError(
                f'inputs: "{glob}" matches no file',
                cause=f"it is relative to {self._root}",
                fix="correct it; a whole folder is written as folder/**/*",
            )
        return found
