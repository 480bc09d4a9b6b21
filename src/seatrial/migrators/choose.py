"""From a string of `schema` or `seed` to the step that it means; imports the class of that step only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from seatrial.errors import ConfigError
from seatrial.migrators.source.inputs import Inputs
from seatrial.resources.protocol import Address, Migrator

_IMPORT = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*(?:\(\))?")
_FILE_ENDINGS = (".sql", ".ini", ".toml", ".prisma", ".py")


def _ignore(text: str) -> None:
    """A `note` for those who do not listen."""
    del text


def _none(address: Address) -> Mapping[str, str]:
    """The `variables` of a resource that exports none."""
    del address
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What steps need to know of the resource that they are for."""

    root: Path
    """The project's root."""
    scheme: str
    """Of the resource's address: "postgresql", "sqlite"."""
    drivers: Mapping[str, str]
    """SQLAlchemy's driver by style: {"sync": "psycopg", "async": "asyncpg"}."""
    inputs: Sequence[str] = ()
    """Globs of files that the steps depend on, besides those that they name."""
    run: str = ""
    """A name of this run, the same for all of its workers."""
    variables: Callable[[Address], Mapping[str, str]] = _none
    """What a child process finds exported, so that it goes to an address."""
    note: Callable[[str], None] = _ignore
    """Told what the user should know."""


def steps(schema: Sequence[str], seed: Sequence[str], setting: Setting) -> list[Migrator]:
    """What brings a resource to its baseline, in order; its `inputs` come first, as they count for all of it."""
    chosen = [choose(text, setting, key="schema") for text in schema]
    chosen += [choose(text, setting, key="seed") for text in seed]
    return [Inputs(setting.inputs, setting.root), *chosen] if chosen and setting.inputs else chosen


def choose(text: str, setting: Setting, *, key: str) -> Migrator:
    """The step that `text` means, where it was written for `key`, which is "schema" or "seed".

    Raises `ConfigError` where it means nothing: with all that it might have meant.
    """
    text = text.strip()
    if text == "django" and key == "schema":
        from seatrial.migrators.django.step import DjangoMigrations

        return DjangoMigrations(root=setting.root)
    if _IMPORT.fullmatch(text):
        if key == "seed":
            from seatrial.migrators.seed import Seed

            return Seed(text, root=setting.root, drivers=dict(setting.drivers))
        from seatrial.migrators.metadata import Metadata

        driver = setting.drivers["sync"]
        return Metadata(text, root=setting.root, scheme=setting.scheme, driver=driver, note=setting.note)
    path = setting.root / text
    if path.is_dir():
        return _folder(text, path, setting, key)
    if path.is_file():
        step = _file(text, path, setting)
        if step is not None:
            return step
    elif _looks_like_a_file(text):
        raise _no_such_file(text, setting.root, key)
    from seatrial.migrators.command import Command, find_program, split

    words = split(text)
    if not words or find_program(words[0], setting.root) is None:
        raise _nothing(text, setting.root, key)
    return Command(
        text,
        root=setting.root,
        inputs=bool(setting.inputs),
        run=setting.run,
        variables=setting.variables,
        note=setting.note,
    )


def _file(text: str, path: Path, setting: Setting) -> Migrator | None:
    if path.suffix == ".sql":
        from seatrial.migrators.sql import SQLFiles

        return SQLFiles(text, [path], root=setting.root)
    if path.suffix in (".ini", ".toml"):
        from seatrial.migrators.alembic import Alembic

        return Alembic(path, root=setting.root, driver=setting.drivers["sync"], variables=setting.variables)
    if path.suffix == ".prisma":
        raise ConfigError(
            f'"{text}" is a schema of Prisma, from which only Prisma makes SQL',
            fix='name its migrations, as in schema = "prisma/migrations", or the command "prisma db push"',
        )
    if path.suffix == ".py" and not _is_program(text, setting.root):
        module = text.removesuffix(".py").strip("./").replace("/", ".")
        raise ConfigError(
            f'"{text}" is a file of Python',
            fix=f'name what is in it, as in "{module}:NAME", or run it: "python {text}"',
        )
    return None


def _folder(text: str, path: Path, setting: Setting, key: str) -> Migrator:
    from seatrial.migrators.prisma import is_prisma, prisma
    from seatrial.migrators.sql import folder

    if is_prisma(path):
        return prisma(path, root=setting.root, label=text)
    if (path / "env.py").is_file():
        raise ConfigError(
            f'"{text}" is a folder of Alembic', cause="its settings are elsewhere", fix=f'write {key} = "alembic.ini"'
        )
    return folder(path, root=setting.root, label=text)


def _is_program(text: str, root: Path) -> bool:
    from seatrial.migrators.command import find_program

    return find_program(text, root) is not None


def _looks_like_a_file(text: str) -> bool:
    return text.endswith(_FILE_ENDINGS) and not re.search(r"\s", text)


def _no_such_file(text: str, root: Path, key: str) -> ConfigError:
    suffix = Path(text).suffix
    known = [
        path.relative_to(root).as_posix() for level in ("", "*/", "*/*/") for path in root.glob(f"{level}*{suffix}")
    ]
    close = get_close_matches(text, known, n=1, cutoff=0.5) or [
        each for each in known if Path(each).name == Path(text).name
    ]
    return ConfigError(
        f'{key} = "{text}": there is no such file',
        cause=f"it is relative to {root}",
        fix=f'write {key} = "{close[0]}"' if close else "correct the path",
    )


def _nothing(text: str, root: Path, key: str) -> ConfigError:
    word = text.partition(" ")[0]
    python = "tests.seed:load" if key == "seed" else "app.database:Base"
    return ConfigError(
        f'{key} = "{text}" is neither a file, nor an import path, nor a command',
        cause=f"no file or folder in {root} has that name, it does not look like an import path "
        f'("{python}"), and there is no program "{word}" to run as a command',
        fix=f"correct the name, or write an import path, a .sql file, a folder of .sql files, "
        f"{'alembic.ini, ' if key == 'schema' else ''}or a command",
    )
