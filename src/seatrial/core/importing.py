"""From "package.module:attribute" in a configuration to the object; where that fails, whose mistake it is."""

from __future__ import annotations

import gc
import importlib
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from seatrial.core.redact import redact
from seatrial.errors import AppError, ConfigError

_REFERENCE = re.compile(
    r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<attribute>[^\W\d]\w*(?:\.[^\W\d]\w*)*)(?P<call>\(\))?"
)
_FRAMES = 8


@contextmanager
def uncollected() -> Iterator[None]:
    """While much is imported the collector of garbage would look through all that is new again and again, for nothing.

    That took a fifth of the time of our imports. It is held back in all threads; this may be nested.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def import_object(reference: str, root: Path) -> Any:
    """What "package.module:attribute" names, or what the factory "package.module:attribute()" returns.

    The project's root goes first on `sys.path`, and its folder `src` after it, if it has one.

    Raises:
        ConfigError: the reference is malformed, or there is no such module or attribute; with the nearest name.
        AppError: the project's own code raised; with its traceback, shortened to the project's frames.
    """
    reference = reference.strip()
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ConfigError(f'"{reference}" does not name an object', fix='write it as "package.module:attribute"')
    add_root(root)
    found: Any = _module(match["module"], reference, root)
    at = match.start("attribute")
    for name in match["attribute"].split("."):
        found = _attribute(found, name, reference, at)
        at += len(name) + 1
    if not match["call"]:
        return found
    if not callable(found):
        raise ConfigError(
            f'"{reference}" can\'t be called: it is a {type(found).__name__}',
            fix=f'write "{reference.removesuffix("()")}"',
        )
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise _own_error(f'the factory "{reference}" failed', error, root, reference) from error


def add_root(root: Path) -> None:
    """Make the project's modules importable, before all others."""
    for folder in (root / "src", root):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def shortened(error: BaseException, root: Path | None = None) -> str:
    """The traceback of `error` with the frames in the project's own files only (or the last, if none is).

    Where nobody knows the project's root, its files are those that are neither installed nor ours.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame.filename)]
    own = [frame for frame in frames if (_belongs(frame.filename, root) if root else _is_own(frame.filename))]
    lines = traceback.format_list((own or list(frames[-1:]))[-_FRAMES:]) if not isinstance(error, SyntaxError) else []
    return redact("".join([*lines, *traceback.format_exception_only(error)]).rstrip())


def export_it(told: str) -> str:
    """What to type where the error at the end of `told` is a variable that the environment lacks; empty otherwise."""
    found = re.search(r"(?:^|\n)KeyError: '([A-Z_][A-Z0-9_]*)'\s*$", told)
    if found is None or found[1] in os.environ:
        return ""
    return (
        f'if {found[1]} is the address of a resource, write env = "{found[1]}" in its table, and it is set before '
        "anything is imported; otherwise set it in the environment of the tests"
    )


def _module(name: str, reference: str, root: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name != missing and not name.startswith(f"{missing}."):
            raise _own_error(f'"{reference}" could not be imported', error, root, name) from error
        close = get_close_matches(name, _modules(root), n=1, cutoff=0.5)
        raise ConfigError(
            f'"{reference}": there is no module {missing}',
            cause=f"it was looked for in {root}, and among the installed packages",
            fix=f'write "{close[0]}:{reference.partition(":")[2]}"'
            if close
            else "correct the path, or install the package",
        ) from None
    except (Exception, SystemExit) as error:
        raise _own_error(f'"{reference}" could not be imported', error, root, name) from error


def _attribute(owner: Any, name: str, reference: str, at: int) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        known = [known for known in dir(owner) if not known.startswith("_")]
        close = get_close_matches(name, known, n=1)
        what = f"the module {owner.__name__}" if isinstance(owner, ModuleType) else f"a {type(owner).__name__}"
        raise ConfigError(
            f'"{reference}": {what} has no "{name}"',
            cause="" if known else "it is empty",
            fix=f'write "{reference[:at]}{close[0]}{reference[at + len(name) :]}"'
            if close
            else "name something that it defines",
        ) from None


def _own_error(what: str, error: BaseException, root: Path, tried: str) -> AppError:
    """Args: `tried` is a module, or a factory in one."""
    module, _, factory = tried.partition(":")
    script = f"import {module}; {module}.{factory}" if factory else f"import {module}"
    folder = root / "src" if any((root / "src").glob(f"{module.partition('.')[0]}*")) else root
    all_of_it = f'`python -c "{script}"` in {folder}, with the variables that it reads, shows all of it'
    cause = shortened(error, root)
    fix = export_it(cause) or f"mend the error above; {all_of_it}"
    if isinstance(error, ModuleNotFoundError):
        fix = f"install what brings the module {error.name}, in the environment that runs the tests: {sys.prefix}"
    return AppError(what, cause=cause, fix=fix)


def is_installed(path: Path) -> bool:
    """Whether a file, or a folder, is where libraries are installed."""
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _belongs(filename: str, root: Path) -> bool:
    path = Path(filename)
    return path.is_relative_to(root) and not {"site-packages", ".venv", "venv"} & set(path.relative_to(root).parts)


def _is_own(filename: str) -> bool:
    path = Path(filename)
    return path.is_absolute() and not is_installed(path) and not path.is_relative_to(sysconfig.get_path("stdlib"))


def _is_ours(filename: str) -> bool:
    return Path(filename).is_relative_to(Path(__file__).parents[1])


def _modules(root: Path) -> list[str]:
    """The names of the project's modules, three folders deep."""
    found = []
    for top in (root, root / "src"):
        for pattern in ("*.py", "*/*.py", "*/*/*.py"):
            found += [".".join(path.relative_to(top).with_suffix("").parts) for path in top.glob(pattern)]
    return [name.removesuffix(".__init__") for name in found]
