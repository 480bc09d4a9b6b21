"""Which database a project runs on, and the variables by which it is told where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from seatrial.cli.detect.candidate import Candidate, Note
from seatrial.cli.detect.database.opened import database_variables
from seatrial.cli.detect.database.prisma import prisma, seed_note
from seatrial.cli.detect.database.settings import Variable
from seatrial.cli.detect.database.variables import address_variables, part_variables, read_variables
from seatrial.cli.detect.project import Project, line_at

_SYNC = ("psycopg2", "psycopg2-binary")
_POSTGRES = ("psycopg", "psycopg2", "psycopg2-binary", "asyncpg", "pg8000", "aiopg", "psycopg-binary")
_MYSQL = ("pymysql", "asyncmy", "aiomysql", "mysqlclient")
_EXTRAS: Mapping[str, str] = {r"piccolo\[(?:postgres|all)\b": "asyncpg"}
"""Extras of libraries, and the driver that they bring."""
_SCHEME = re.compile(r"\b(?P<scheme>(?:postgres(?:ql)?|sqlite|mysql|mariadb)(?:\+\w+)?)://")
_SERVERS: Mapping[str, str] = {"postgresql": "postgres", "postgres": "postgres", "mysql": "mysql", "mariadb": "mariadb"}
_ENGINE = re.compile(r"""["']ENGINE["']\s*:\s*["'][\w.]*\.(?P<vendor>postg|mysql|sqlite|spatialite)\w*["']""")
_VENDORS: Mapping[str, str] = {"postg": "postgres", "mysql": "mysql", "sqlite": "sqlite", "spatialite": "sqlite"}
"""Of Django's backends the beginning of their last name, PostGIS and old names of PostgreSQL's included."""
_DOTENV = re.compile(r"\.env([\w.-]*)?|.*compose[\w.-]*\.ya?ml|.*\.env")


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """`kind` and `env`, each with its evidence; `others` are variables that were not taken."""

    kind: Candidate
    env: str | Mapping[str, str]
    env_evidence: Candidate | None
    others: tuple[Candidate, ...] = ()
    notes: tuple[Note, ...] = ()


def database(project: Project, *, asynchronous: bool) -> Database:
    """The kind and the variables of this project. `asynchronous`: its sessions are AsyncSessions."""
    variables = read_variables(project)
    addresses = address_variables(variables, database_variables(project))
    drivers = dict(_dependencies(project))
    kind = next(_kinds(project, addresses, drivers))
    if addresses:
        # pydantic-settings often computes the address from parts: only what is really read is exported.
        return _by_address(project, addresses, kind, asynchronous=asynchronous, drivers=drivers)
    if parts := part_variables(variables, kind.value):
        template = {variable.name: "{" + part + "}" for part, variable in parts.items()}
        first = next(iter(parts.values()))
        why = f"the address is read in {len(parts)} parts, by {first.how.rpartition(', ')[2]}"
        evidence = Candidate(value="env", file=first.file, line=first.line, why=why, score=0)
        return Database(kind=kind, env=template, env_evidence=evidence)
    notes = (*_fixed_address(project), *seed_note(project))
    known = prisma(project)
    if known is None or known.kind.value != kind.value:
        return Database(kind=kind, env="", env_evidence=None, notes=notes)
    if kind.value == "sqlite":
        env = {known.variable.value if known.variable else "DATABASE_URL": "file:{database}"}
        evidence = replace(known.kind, why="Prisma's addresses of SQLite begin with file:")
        return Database(kind=kind, env=env, env_evidence=evidence, notes=notes)
    env_read = known.variable.value if known.variable else ""
    return Database(kind=kind, env=env_read, env_evidence=known.variable, notes=notes)


def _by_address(
    project: Project,
    addresses: tuple[Variable, ...],
    kind: Candidate,
    *,
    asynchronous: bool,
    drivers: Mapping[str, str],
) -> Database:
    chosen, *rest = addresses
    scheme, reason = _wanted_scheme(project, chosen, kind.value, asynchronous=asynchronous, drivers=drivers)
    if kind.value == "postgres" and "+" not in scheme and _imports(project, "tortoise"):
        scheme, reason = "postgres", "older versions of Tortoise know no postgresql://"
    # Whoever reads several variables of one meaning (DATABASE_URL, ALEMBIC_URL) mostly falls back from one to the next.
    why = f"read by {chosen.how}" + (f"; {reason}" if reason else "")
    evidence = Candidate(value=chosen.name, file=chosen.file, line=chosen.line, why=why, score=0)
    others = tuple(
        Candidate(value=one.name, file=one.file, line=one.line, why=f"read by {one.how}", score=0) for one in rest
    )
    if scheme and ("+" in scheme or scheme == "postgres") and kind.value == _kind(scheme):
        where = "" if kind.value == "sqlite" else "{user}:{password}@{host}:{port}"
        template = f"{scheme}://{where}/{{database}}"
        return Database(kind=kind, env={chosen.name: template}, env_evidence=evidence, others=others)
    return Database(kind=kind, env=chosen.name, env_evidence=evidence, others=others)


def _wanted_scheme(
    project: Project, variable: Variable, kind: str, *, asynchronous: bool, drivers: Mapping[str, str]
) -> tuple[str, str]:
    """The scheme that the app expects in its address, and how that is known."""
    if _server(variable.scheme) or _kind(variable.scheme) == kind:
        return variable.scheme, f"its default begins with {variable.scheme}://" if "+" in variable.scheme else ""
    for file in project.files:
        if _DOTENV.fullmatch(file.rpartition("/")[2]):
            for number, line in enumerate(project.text(file).splitlines(), start=1):
                match = _SCHEME.search(line)
                if match and re.search(rf"\b{variable.name}\b", line) and _kind(match["scheme"]) == kind:
                    return match["scheme"], f"{file}:{number} sets it to {match['scheme']}://..."
    if kind == "mysql" and "pymysql" in drivers and "mysqlclient" not in drivers and not asynchronous:
        return "mysql+pymysql", f"{drivers['pymysql']} has PyMySQL and no mysqlclient"
    if kind == "postgres" and asynchronous and not _rewrites(project):
        driver = "asyncpg" if "asyncpg" in drivers or "psycopg" not in drivers else "psycopg"
        return f"postgresql+{driver}", f"its engine is async, and takes the driver ({driver}) from the address"
    if kind == "postgres" and "psycopg" in drivers and not drivers.keys() & set(_SYNC) and not asynchronous:
        return "postgresql+psycopg", f"{drivers['psycopg']} has psycopg 3 and no psycopg2"
    return "", ""


def _imports(project: Project, library: str) -> bool:
    sources = [source for source in project.sources if not source.side]
    return any(name.partition(".")[0] == library for source in sources for name in source.imports.values())


def _rewrites(project: Project) -> bool:
    """Whether the code puts the driver into the address by itself, with replace() or make_url().set()."""
    for source in project.sources:
        if not source.side:
            text = project.text(source.relative)
            if re.search(r"""(replace\(|drivername\s*=|f?["']postgresql\+asyncpg://\{)""", text) and "+asyncpg" in text:
                return True
    return False


def _kinds(project: Project, addresses: tuple[Variable, ...], drivers: Mapping[str, str]) -> Iterator[Candidate]:
    """The server that an address names, PostgreSQL where a driver speaks for it; SQLite only where nothing else is."""
    for variable in addresses:
        if server := _server(variable.scheme):
            yield _evidence(server, variable.file, variable.line, f"the default of {variable.name}")
    engines = tuple(_engines(project))
    yield from (one for one in engines if one.value != "sqlite")
    for driver, place in drivers.items():
        file, _, line = place.rpartition(":")
        kind = "mysql" if driver in _MYSQL else "postgres"
        yield _evidence(kind, file, int(line), f"the project depends on {driver}")
    if known := prisma(project):
        yield known.kind
    for file, number, scheme in _addresses_in_code(project):
        if server := _server(scheme):
            yield _evidence(server, file, number, f"an address that begins with {scheme}://")
    for variable in addresses:
        if variable.scheme.startswith("sqlite"):
            yield _evidence(
                "sqlite",
                variable.file,
                variable.line,
                f"the default of {variable.name}, and no driver of another database",
            )
    yield from engines
    for file, number, _ in _addresses_in_code(project):
        yield _evidence("sqlite", file, number, "an address of SQLite, and no driver of another database")
    yield _evidence("postgres", "", 0, "nothing says which database it is; this is the usual one")


def _server(scheme: str) -> str:
    """The kind of the server that such addresses lead to: "mysql" for "mysql+pymysql"; empty for SQLite."""
    return _SERVERS.get(scheme.partition("+")[0], "")


def _kind(scheme: str) -> str:
    """The kind that such addresses mean, SQLite included."""
    return "sqlite" if scheme.startswith("sqlite") else _server(scheme)


def _evidence(value: str, file: str, line: int, why: str) -> Candidate:
    return Candidate(value=value, file=file, line=line, why=why, score=0)


def _engines(project: Project) -> Iterator[Candidate]:
    """What the ENGINEs of Django's DATABASES say."""
    for source in project.sources:
        text = "" if source.side else project.text(source.relative)
        for match in _ENGINE.finditer(text):
            line = line_at(text, match.start())
            yield _evidence(_VENDORS[match["vendor"]], source.relative, line, "the ENGINE of Django's DATABASES")


def _addresses_in_code(project: Project) -> Iterator[tuple[str, int, str]]:
    for source in project.sources:
        if source.side:
            continue
        for number, line in enumerate(project.text(source.relative).splitlines(), start=1):
            match = _SCHEME.search(line)
            if match and not line.lstrip().startswith("#"):
                yield source.relative, number, match["scheme"]


def _fixed_address(project: Project) -> Iterator[Note]:
    for file, number, scheme in _addresses_in_code(project):
        yield Note(
            place=f"{file}:{number}",
            text=f"the address ({scheme}://...) is fixed in the code: read it from a variable, as in "
            'os.environ.get("DATABASE_URL", ...), or the app will not reach the test database',
        )
        return


def _dependencies(project: Project) -> Iterator[tuple[str, str]]:
    """Drivers of PostgreSQL and MySQL among the project's requirements, with the place of each."""
    for file, number, line in project.requirements():
        for extra, driver in _EXTRAS.items():
            if re.search(extra, line):
                yield driver, f"{file}:{number}"
        for driver in (*_POSTGRES, *_MYSQL):
            if re.search(rf"(?:^|[\s\"'\[,]){re.escape(driver)}(?![\w-])", line) and not line.lstrip().startswith("#"):
                yield driver, f"{file}:{number}"
