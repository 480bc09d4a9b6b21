"""The configuration that is proposed for a project: each value with its evidence, and what was not taken."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from seatrial.cli.detect.apps import apps
from seatrial.cli.detect.candidate import Candidate, Note
from seatrial.cli.detect.conftests import Pattern, adapted, patterns
from seatrial.cli.detect.database.beside import Beside, beside
from seatrial.cli.detect.database.buckets import Buckets, buckets
from seatrial.cli.detect.database.choose import Database, database
from seatrial.cli.detect.migrations import flask_migrate, migrations
from seatrial.cli.detect.models import is_flask, models
from seatrial.cli.detect.project import Project
from seatrial.cli.detect.roots import installable, pythonpath, root_is_imported, with_pythonpath
from seatrial.cli.detect.services import Service, services
from seatrial.cli.detect.sessions import opens_async_engines, sessions, uses_sqlalchemy

RESOURCE = "db"
BUCKET = "bucket"
"""The resource of a project that keeps objects in S3, too."""
_INJECTING = ("FastAPI", "Litestar", "")
"""Frameworks whose dependencies `override` can replace; an app that was not found may be one of them."""
_DB = f"resources.{RESOURCE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key that is written. `key` is dotted: "resources.db.schema"."""

    key: str
    value: str | Sequence[str] | Mapping[str, str]
    place: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What `seatrial init` writes, and what it says about it."""

    entries: tuple[Entry, ...]
    others: Mapping[str, tuple[Candidate, ...]]
    """Candidates that were not taken, by key."""
    missing: tuple[str, ...]
    """Keys that are left for the user to fill in."""
    notes: tuple[Note, ...]
    replaced: tuple[Pattern, ...]
    """Fixtures of the project that can be deleted."""
    javascript: bool
    """Whether its tests are not pytest's: there is no Python in it."""

    def value(self, key: str) -> str | Sequence[str] | Mapping[str, str]:
        """The value of a key; empty where it is not proposed."""
        return next((entry.value for entry in self.entries if entry.key == key), "")


def decide(project: Project) -> Proposal:
    """Look at everything, and take the best of each."""
    found_services, unclear = services(project)
    found_apps = tuple(one.app for one in found_services) or apps(project)
    found_sessions = sessions(project)
    found_schema = _schemas(project)
    asynchronous = found_sessions[0].is_async if found_sessions else opens_async_engines(project)
    data = database(project, asynchronous=asynchronous)
    chosen: dict[str, tuple[Candidate, ...]] = {
        "app": found_apps,
        f"{_DB}.kind": (data.kind,),
        f"{_DB}.schema": found_schema,
        f"{_DB}.override": found_sessions,
    }
    taken = {key: candidates for key, candidates in chosen.items() if key != "app" or not found_services}
    entries = [entry for one in found_services for entry in _service(one)]
    entries += [_entry(key, candidates[0]) for key, candidates in taken.items() if candidates]
    tools = adapted(project)
    if tools:
        entries.append(Entry(key="adapt", value=[one.value for one in tools], place=tools[0].place, why=tools[0].why))
    if data.env and data.env_evidence and data.env != "DATABASE_URL":
        evidence = data.env_evidence
        entries.append(Entry(key=f"{_DB}.env", value=data.env, place=evidence.place, why=evidence.why))
    objects = buckets(project)
    entries += _bucket(objects) if objects else ()
    others_beside = tuple(beside(project))
    entries += [entry for one in others_beside for entry in _beside(one)]
    others = {key: candidates[1:] for key, candidates in taken.items() if len(candidates) > 1}
    others |= {f"services.{one.name}.app": one.others for one in found_services if one.others}
    if data.others:
        others[f"{_DB}.env"] = data.others
    written = found_apps if found_services else found_apps[:1]
    django = bool(found_schema) and found_schema[0].value == "django"
    frameworks = {one.library for one in written} or ({"Django"} if django else {""})
    injects = bool(frameworks & set(_INJECTING)) and (uses_sqlalchemy(project) or frameworks == {""})
    javascript = not project.sources and "package.json" in project.files
    wanted = ("app", f"{_DB}.schema", *((f"{_DB}.override",) if injects else ()))
    # Django's own clients need no `app`.
    wanted = (f"{_DB}.schema",) if javascript or django else wanted
    return Proposal(
        entries=tuple(entries),
        others=others,
        missing=tuple(key for key in wanted if not chosen[key]),
        notes=(
            *_notes(project, written, found_schema, data),
            *unclear,
            *(objects.notes if objects else ()),
            *(note for one in others_beside for note in one.notes),
        ),
        replaced=patterns(project),
        javascript=javascript,
    )


def _entry(key: str, candidate: Candidate) -> Entry:
    return Entry(key=key, value=candidate.value, place=candidate.place, why=candidate.why)


def _service(found: Service) -> Iterator[Entry]:
    table = f"services.{found.name}"
    yield _entry(f"{table}.app", found.app)
    if found.asks:
        yield Entry(key=f"{table}.env", value=found.asks, place=found.place, why=found.why)


def _bucket(found: Buckets) -> Iterator[Entry]:
    yield _entry(f"resources.{BUCKET}.kind", found.kind)
    evidence = found.env_evidence
    yield Entry(key=f"resources.{BUCKET}.env", value=found.env, place=evidence.place, why=evidence.why)


def _beside(found: Beside) -> Iterator[Entry]:
    table = f"resources.{found.kind.value}"
    yield _entry(f"{table}.kind", found.kind)
    if found.env:
        yield Entry(key=f"{table}.env", value=found.env, place=found.kind.place, why="it is read there")


def _schemas(project: Project) -> tuple[Candidate, ...]:
    """Migrations before metadata: what production runs on is what tests should run on."""
    return (*migrations(project), *models(project))


def _notes(
    project: Project, written: tuple[Candidate, ...], schema: tuple[Candidate, ...], data: Database
) -> Iterator[Note]:
    yield from data.notes
    version = ".".join(map(str, sys.version_info[:2]))
    for file, line in project.unparsed:
        yield Note(place=f"{file}:{line}", text=f"does not parse with Python {version}; nothing in it was seen")
    yield from _import_notes(project, written)
    if data.env_evidence and data.env == "DATABASE_URL":
        text = "DATABASE_URL is read here; it is what Seatrial exports by default, so `env` is not written"
        yield Note(place=data.env_evidence.place, text=f"{text} ({data.env_evidence.why})")
        for other in data.others:
            text = f"{other.value} is read here, too: a second database takes a resource of its own, with env = "
            same = f'if it is this one, write env = ["DATABASE_URL", "{other.value}"]'
            yield Note(place=other.place, text=f'{text}"{other.value}"; {same}')
    yield from _framework_notes(project, written, schema)
    if schema and schema[0].why.startswith("Alembic") and len(schema) > 1:
        yield Note(
            place=schema[0].place,
            text=f"the migrations are preferred to {schema[1].value}: they hold what metadata does not "
            "(extensions, triggers, data), and the tests then prove them too",
        )


def _framework_notes(
    project: Project, found_apps: tuple[Candidate, ...], schema: tuple[Candidate, ...]
) -> Iterator[Note]:
    flask = is_flask(project)
    if flask:
        yield Note(
            place=flask.place,
            text="Flask-SQLAlchemy takes its address from app.config['SQLALCHEMY_DATABASE_URI']: set it from the "
            "variable; its sessions need no `override`",
        )
    folder = flask_migrate(project) if flask else ""
    if flask and folder:
        app = next((one.value.removesuffix("()") for one in found_apps if one.library == "Flask"), "MODULE:APP")
        command = f"flask --app {app} db upgrade" + ("" if folder == "migrations" else f" -d {folder}")
        yield Note(
            place=folder,
            text="Flask-Migrate: to prove its migrations, too, "
            f'write schema = ["{command}", "{flask.value}"] and inputs = ["{folder}/**/*.py"]',
        )
    django = [one for one in found_apps if one.library == "Django"]
    for one in django or [one for one in schema[:1] if one.value == "django"]:
        yield Note(
            place=one.place,
            text="Django: beside pytest-django our fixtures step aside. Its `db`, `transactional_db` and `client` keep "
            "their meaning, ours are `seatrial_db` and `seatrial_client`. Where the settings do not read the exported "
            "variable, the database `default` is led to the resource",
        )


def _import_notes(project: Project, found_apps: tuple[Candidate, ...]) -> Iterator[Note]:
    """What it takes for each app's module to be importable under the name that was written."""
    for app in found_apps:
        folder = max((root for root in project.roots if root and app.file.startswith(f"{root}/")), key=len, default="")
        declared = pythonpath(project.root)
        if folder and folder not in declared and not installable(project.root):
            yield Note(
                place=app.file,
                text=f"`{app.value}` is imported from {folder}/: {with_pythonpath(project.root, folder)}, "
                "or install the project",
            )
        elif not folder and app.library != "Django" and not _tests_import(project, app.value):
            yield Note(
                place=app.file,
                text=f"plain `pytest` does not look for `{app.value}` in this folder: "
                f"{with_pythonpath(project.root, '.')}, or install the project",
            )


def _tests_import(project: Project, value: str) -> bool:
    """Whether pytest finds the module of `value` in the root: it is told to, or there are tests that import it."""
    top = value.partition(":")[0].partition(".")[0]
    tested = (name.partition(".")[0] for source in project.sources if source.side for name in source.imports.values())
    return root_is_imported(project.root, project.files) or top in tested
