"""The project in whose folder a command is typed: its configuration, and a harness for it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.config.model import Config
from seatrial.errors import ConfigError
from seatrial.events import Event, ignore

if TYPE_CHECKING:
    from seatrial.harness.harness import Harness


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of every command that needs a project."""
    parser.add_argument(
        "-C", "--project", type=Path, default=Path(), metavar="FOLDER", help="the project's folder (default: here)"
    )
    parser.add_argument(
        "--set",
        dest="options",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the configuration: --set db.provider=binary",
    )


def configuration(args: argparse.Namespace) -> Config:
    """The project's configuration, with the environment and the options over it.

    What pytest's `pythonpath` makes importable in a test run is importable from here on, too.

    Raises:
        ConfigError: there is none, or it is wrong.
    """
    from seatrial.config.find import find
    from seatrial.config.layers import pairs
    from seatrial.config.load import load

    if not args.project.is_dir():
        raise ConfigError(f"there is no folder {args.project.absolute()}", fix="correct what follows -C")
    found = find(args.project)
    if found is None:
        raise ConfigError(
            f"no configuration was found in {args.project.absolute()} or above it",
            cause='there is no seatrial.toml, no [tool.seatrial] in a pyproject.toml, no "seatrial" in a package.json',
            fix="run `seatrial init` in the project's root",
        )
    config = load(found, environ=os.environ, options=pairs(args.options))
    _make_importable(config.root)
    return config


def _make_importable(root: Path) -> None:
    from seatrial.cli.detect.roots import pythonpath

    folders = [str((root / folder).resolve()) for folder in pythonpath(root)]
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]


def chosen(config: Config, names: list[str]) -> list[str]:
    """The resources that were asked for; all of them where none was named.

    Raises:
        ConfigError: there is no resource of that name, or none at all.
    """
    known = [resource.name for resource in config.resources]
    if not known:
        from seatrial.config.read import prefix

        table = ".".join((*prefix(config.source), "resources.db"))
        raise ConfigError(f"{config.source} names no resource", fix=f'add a table [{table}] with kind = "postgres"')
    for name in names:
        if name not in known:
            from seatrial.config.explain import instead

            raise ConfigError(f"there is no resource `{name}`", fix=instead(name, known, of="resources"))
    return names or known


@contextmanager
def harness(config: Config, emit: Callable[[Event], None] = ignore) -> Iterator[Harness]:
    """A harness for one run of its own, with the environment exported; closed at the end, whatever happens."""
    from seatrial.harness.compose import compose
    from seatrial.harness.run import Run

    made = compose(config, Run.new(config.root), emit=emit)
    try:
        made.open()
        yield made
    finally:
        made.close()


def start(made: Harness, names: list[str]) -> None:
    """Have these resources ready, or raise what kept the first of them from it."""
    made.start(names)
    for name in names:
        failure = made.resources[name].failure
        if failure is not None:
            raise failure
