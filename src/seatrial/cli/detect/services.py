"""Several apps of one project that call each other: which they are, and which variable says where the other is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from seatrial.cli.detect.apps import every_app, mounted
from seatrial.cli.detect.candidate import Candidate, Note, ranked
from seatrial.cli.detect.database.settings import Variable
from seatrial.cli.detect.database.variables import read_variables
from seatrial.cli.detect.project import Project
from seatrial.config.keys import APP_IN_EXCHANGES, TAKEN_FIXTURES
from seatrial.config.values import resource_name

_ANYONES = frozenset({"src", "lib", "app", "apps", "service", "services", "backend", "server", "main"})
"""Folders that any project may have: APP_URL mostly is one's own address, and no service's called `app`."""
_ENDS = re.compile(r"_(?:SERVICE|SVC|API|APP)$")
_BEFORE = r"(?:(?:INTERNAL|UPSTREAM|REMOTE|APP|SERVICES?)_)?"
_AFTER = r"(?:_(?:SERVICE|SVC|API|APP|SERVER|BASE|ROOT|INTERNAL|HTTP))*_(?:URL|URI|ENDPOINT|ADDRESS|ORIGIN)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One app in a folder of its own. `others` are apps of the same folder that were not taken."""

    name: str
    folder: str
    app: Candidate
    others: tuple[Candidate, ...] = ()
    asks: Mapping[str, str] = field(default_factory=dict)
    """Variable -> text: {"STOCK_URL": "{services.stock}"}."""
    place: str = ""
    why: str = ""
    """Where the first of these variables is read, and what was read."""


def services(project: Project) -> tuple[tuple[Service, ...], tuple[Note, ...]]:
    """Those to be written, or none; and, where it is not clear which ask which, a line about those that were found."""
    alone = _alone(project)
    if len(alone) <= 1:
        return (), ()
    found = tuple(_asking(project, one, alone) for one in alone)
    doubt = _doubt(found)
    return ((), (_unclear(found, doubt),)) if doubt else (found, ())


def _alone(project: Project) -> tuple[Service, ...]:
    """One for each folder that holds apps of its own: none that are part of another app, none beside the product."""
    parts = mounted(project)
    side = {source.relative for source in project.sources if source.side}
    whole = [
        one
        for one in every_app(project)
        if one.file not in side and _dotted(one) not in parts and not _imported_elsewhere(project, one)
    ]
    folders = {one.file: PurePosixPath(one.file).parts[:-1] for one in whole}
    shared = set.intersection(*map(set, folders.values())) if folders else set()
    groups: dict[str, list[Candidate]] = {}
    for one in whole:
        own = [number for number, part in enumerate(folders[one.file]) if part not in shared]
        if not own:
            return ()  # it is above the others: they are no neighbours
        last = next((number for number in own if folders[one.file][number] not in _ANYONES), own[0])
        groups.setdefault("/".join(folders[one.file][: last + 1]), []).append(one)
    names = _names(project, tuple(groups))
    return tuple(
        Service(name=names[folder], folder=folder, app=best[0], others=best[1:])
        for folder, apps in groups.items()
        if (best := ranked(apps))
    )


def _dotted(app: Candidate) -> str:
    return app.value.replace(":", ".").removesuffix("()")


def _imported_elsewhere(project: Project, app: Candidate) -> bool:
    """Whether another folder of the product imports the app, or its module: they run together, then."""
    wanted = {_dotted(app), app.value.partition(":")[0]}
    folder = app.file.rpartition("/")[0]
    return any(
        wanted & set(source.imports.values())
        for source in project.sources
        if not source.side and not source.relative.startswith(f"{folder}/")
    )


def _names(project: Project, folders: Sequence[str]) -> dict[str, str]:
    """The fixture of each: its folder, but for names that are taken."""
    taken = {*TAKEN_FIXTURES, APP_IN_EXCHANGES, "test", "db", "bucket"}
    for source in project.sources:
        if source.path.name == "conftest.py":
            taken |= {function.name for function in source.functions()}
    plain = {folder: re.sub(r"\W", "_", folder.rpartition("/")[2]).lower() for folder in folders}
    return {folder: f"{name}_service" if name in taken else name for folder, name in plain.items()}


def _stems(one: Service, alone: Sequence[Service]) -> Iterator[str]:
    """How variables may call it: STOCK_SERVICE, and STOCK where that is nobody else's."""
    full = {each.folder: re.sub(r"\W", "_", each.folder.rpartition("/")[2]).upper() for each in alone}
    if full[one.folder].lower() in _ANYONES:
        return
    yield full[one.folder]
    short = Counter(_ENDS.sub("", name) for name in full.values())
    stem = _ENDS.sub("", full[one.folder])
    if short[stem] == 1 and stem != full[one.folder]:
        yield stem


def _asking(project: Project, one: Service, alone: Sequence[Service]) -> Service:
    """The same, with the variables in its folder that are named after another one."""
    neighbours = tuple(f"{each.folder}/" for each in alone if each is not one)
    seen = tuple(source for source in project.sources if not source.relative.startswith(neighbours))
    asks: dict[str, str] = {}
    reads: list[Variable] = []
    for variable in read_variables(replace(project, sources=seen)):
        if not variable.file.startswith(f"{one.folder}/"):
            continue
        asked = [each for each in alone if each is not one and _means(variable, _stems(each, alone), one, alone)]
        if len(asked) == 1:
            asks[variable.name] = f"{{services.{asked[0].name}}}{urlsplit(variable.default).path}"
            reads.append(variable)
    if not reads:
        return one
    why = ", ".join(f"{variable.name} is read by {variable.how}" for variable in reads)
    return replace(one, asks=asks, place=reads[0].place, why=f"{why}; it is named after {' and '.join(_asked(asks))}")


def _means(variable: Variable, stems: Iterator[str], asker: Service, alone: Sequence[Service]) -> bool:
    own = "|".join(_stems(asker, alone)) or "APP"
    address = not variable.default or "://" in variable.default
    return address and any(re.fullmatch(rf"(?:(?:{own})_)?{_BEFORE}{stem}{_AFTER}", variable.name) for stem in stems)


def _asked(asks: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(re.findall(r"\{services\.(\w+)\}", " ".join(asks.values()))))


def _doubt(found: Sequence[Service]) -> str:
    """Why these can't be written as services of one process; empty where they can."""
    return next(chain(_clashes(found), _unknown(found)), "")


def _clashes(found: Sequence[Service]) -> Iterator[str]:
    for what, values in (("import path", [one.app.value for one in found]), ("fixture", [one.name for one in found])):
        value, times = Counter(values).most_common(1)[0]
        if times > 1:
            yield f"{times} of them would have one {what}, {value}"
    yield from (f"`{one.name}` can be no fixture's name" for one in found if resource_name(one.name))
    if sum(one.app.library == "Django" for one in found) > 1:
        yield "one process holds the settings of one Django project"
    texts: dict[str, str] = {}
    for variable, text in (pair for one in found for pair in one.asks.items()):
        if texts.setdefault(variable, text) != text:
            yield f"they want {variable} to be different things"


def _unknown(found: Sequence[Service]) -> Iterator[str]:
    if not any(one.asks for one in found):
        yield "none reads a variable that is named after another, such as STOCK_URL"
    try:
        TopologicalSorter({one.name: _asked(one.asks) for one in found}).prepare()
    except CycleError as circle:
        yield f"they need each other: {' needs '.join(reversed(circle.args[1]))}"


def _unclear(found: Sequence[Service], doubt: str) -> Note:
    listed = ", ".join(f"{one.app.value} ({one.app.file})" for one in found)
    return Note(
        place=found[0].app.place,
        text=f"apps in folders of their own: {listed}; {doubt}. If they call each other, write a table `services.NAME` "
        "for each in the place of `app`: with its `app`, or a `cmd` for a process of its own; and for who asks, "
        'env = { VARIABLE = "{services.NAME}" }',
    )
