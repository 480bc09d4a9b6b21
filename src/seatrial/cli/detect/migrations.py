"""How a project brings a database up to date: Alembic, Prisma, Drizzle, Django, Aerich, Piccolo, yoyo, dbmate, SQL."""

from __future__ import annotations

import configparser
from collections.abc import Iterator

from seatrial.cli.detect.candidate import Candidate, ranked
from seatrial.cli.detect.project import Project, line_at
from seatrial.migrators.sql import builds

_ALEMBIC, _DJANGO, _PRISMA, _COMMAND, _SQL = 100, 90, 80, 75, 60
_SQL_NAMES = ("schema.sql", "structure.sql", "init.sql", "tables.sql", "ddl.sql")
_SQL_FOLDERS = ("migrations", "sql", "db", "database", "schema")


def migrations(project: Project) -> tuple[Candidate, ...]:
    """What makes the schema, the way that production takes first."""
    found = [*_alembic(project), *_django(project), *_prisma(project), *_commands(project), *_sql(project)]
    return ranked(found)


def _alembic(project: Project) -> Iterator[Candidate]:
    for file in project.named("alembic.ini"):
        folder = file.rpartition("/")[0]
        scripts = _script_folder(project, file)
        prefix = "/".join(part for part in (folder, scripts) if part and part != ".")
        revisions = _revisions(project, prefix)
        if revisions:
            many = "1 revision" if revisions == 1 else f"{revisions} revisions"
            why = f"Alembic, with {many} in {prefix}: tests then run on what production runs on"
            yield Candidate(value=file, file=file, line=1, why=why, score=_ALEMBIC - file.count("/"))


def _revisions(project: Project, prefix: str) -> int:
    found = [name for name in project.files if name.startswith(f"{prefix}/") and "/versions/" in f"/{name}"]
    return sum(name.endswith(".py") and not name.endswith("__init__.py") for name in found)


def flask_migrate(project: Project) -> str:
    """The folder of Flask-Migrate's migrations, which need the app that its own command loads; empty without any."""
    for file in project.named("alembic.ini"):
        folder = file.rpartition("/")[0]
        if "current_app" in project.text(f"{folder}/env.py") and _revisions(project, folder):
            return folder
    return ""


def _script_folder(project: Project, file: str) -> str:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(project.text(file))
        location = parser.get("alembic", "script_location", fallback="alembic")
    except configparser.Error:
        return "alembic"
    return location.replace("%(here)s/", "").replace("%(here)s", "").removeprefix("./").strip("/")


def _django(project: Project) -> Iterator[Candidate]:
    for file in project.named("manage.py"):
        if "django" in project.text(file):
            why = "Django's migrations, those of all installed apps"
            yield Candidate(value="django", file=file, line=1, why=why, score=_DJANGO)


def _prisma(project: Project) -> Iterator[Candidate]:
    scripts = [name for name in project.files if name.endswith("/migration.sql")]
    for script in scripts[:1]:
        folder = script.rsplit("/", 2)[0]
        whose = "Drizzle" if script.replace("migration.sql", "snapshot.json") in project.files else "Prisma"
        many = "1 migration" if len(scripts) == 1 else f"{len(scripts)} migrations"
        why = f"{many} of {whose}, run as the SQL that they are"
        yield Candidate(value=folder, file=folder, line=0, why=why, score=_PRISMA + 1)
    for file in project.named("schema.prisma"):
        why = "a Prisma schema"
        yield Candidate(value="prisma migrate deploy", file=file, line=1, why=why, score=_PRISMA)


def _commands(project: Project) -> Iterator[Candidate]:
    """Tools that are run: each needs its own settings to be there, and something to run."""
    tools = (
        ("aerich.ini", "", "aerich upgrade", "Aerich's migrations of Tortoise"),
        ("pyproject.toml", "[tool.aerich]", "aerich upgrade", "Aerich's migrations of Tortoise"),
        ("piccolo_conf.py", "APP_REGISTRY", "piccolo migrations forwards all", "Piccolo's migrations"),
        ("yoyo.ini", "", "yoyo apply --batch", "yoyo's migrations"),
    )
    for name, mark, command, what in tools:
        for file in project.named(name):
            text = project.text(file)
            if mark in text and any("migrations/" in other for other in project.files):
                line = line_at(text, text.index(mark))
                yield Candidate(value=command, file=file, line=line, why=what, score=_COMMAND - file.count("/"))
    for file in project.files:
        if file.endswith(".sql") and "-- migrate:up" in project.text(file):
            why = "dbmate's migrations, which have a part for each direction"
            yield Candidate(value="dbmate --no-dump-schema up", file=file, line=1, why=why, score=_COMMAND)
            return


def _sql(project: Project) -> Iterator[Candidate]:
    for file in project.files:
        folder, _, name = file.rpartition("/")
        if not builds(name) or name == "migration.sql":
            continue
        text = project.text(file).upper()
        if "CREATE TABLE" not in text:
            continue
        siblings = [one for one in project.files if one.rpartition("/")[0] == folder and builds(one)]
        numbered = bool(folder) and all(one.rpartition("/")[2][:1].isdigit() for one in siblings)
        if name in _SQL_NAMES or (len(siblings) == 1 and not numbered):
            line = line_at(text, text.index("CREATE TABLE"))
            score = _SQL + (10 if name in _SQL_NAMES else 0) - file.count("/")
            yield Candidate(value=file, file=file, line=line, why="SQL that creates tables", score=score)
        elif numbered or folder.rpartition("/")[2] in _SQL_FOLDERS:
            several = f"{len(siblings)} files of SQL, run in the order of their names"
            why = f"a folder of {several if len(siblings) > 1 else '1 file of SQL: each later one belongs to it'}"
            yield Candidate(value=folder, file=folder, line=0, why=why, score=_SQL + 5 - folder.count("/"))
