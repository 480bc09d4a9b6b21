"""`seatrial init` in a project without Python: what Prisma's files say is taken, and nothing of pytest's is asked for."""

from __future__ import annotations

import pytest

SCHEMA = """
generator client {
  provider = "prisma-client"
}

datasource db {
  provider = "PROVIDER"
  URL
}

model Lamp {
  id Int @id
}
"""
PROJECT = {
    "package.json": '{"name": "lamps", "private": true}',
    "prisma/migrations/1_lamps/migration.sql": 'CREATE TABLE "Lamp" (id INT PRIMARY KEY);',
}


def schema(provider="postgresql", url=""):
    return SCHEMA.replace("PROVIDER", provider).replace("URL", url)


def evidence(said, key):
    return next(
        (one["value"], one["from"], one["why"]) for one in said["values"] if one["key"] == f"resources.db.{key}"
    )


def test_a_project_of_vitest_and_prisma_is_configured_whole(shape):
    shape.files(PROJECT | {"prisma/schema.prisma": schema()})
    status, printed, _ = shape.run("init", str(shape.folder), "--dry-run")
    assert status == 0
    assert "plugins: [seatrial()] in vitest.config.ts" in printed
    assert "run pytest" not in printed
    said = shape.init()
    assert said["text"] == '[resources.db]\nkind = "postgres"\nschema = "prisma/migrations"\n'
    assert said["missing"] == []
    assert evidence(said, "kind") == ("postgres", "prisma/schema.prisma:6", 'Prisma\'s provider is "postgresql"')


@pytest.mark.parametrize(
    ("provider", "kind"), [("postgres", "postgres"), ("mysql", "mysql"), ("sqlite", "sqlite"), ("mongodb", "postgres")]
)
def test_the_kind_is_that_of_prisma_s_provider(shape, provider, kind):
    assert evidence(shape.files(PROJECT | {"prisma/schema.prisma": schema(provider)}).init(), "kind")[0] == kind


def test_an_address_of_sqlite_is_written_as_prisma_wants_it(shape):
    said = shape.files(PROJECT | {"prisma/schema.prisma": schema("sqlite", 'url = env("LAMPS")')}).init()
    assert evidence(said, "env")[0] == {"LAMPS": "file:{database}"}


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"prisma/schema.prisma": schema(url='url = env("LAMPS_URL")')}, "prisma/schema.prisma:7"),
        (
            {
                "prisma/schema.prisma": schema(),
                "prisma.config.ts": "import { env } from 'prisma/config';\nexport default { datasource: { url: env('LAMPS_URL') } };",
            },
            "prisma.config.ts:2",
        ),
        (
            {
                "prisma/schema/main.prisma": schema(),
                "prisma.config.mjs": "export default { datasource: { url: process.env.LAMPS_URL } };",
            },
            "prisma.config.mjs:1",
        ),
    ],
)
def test_the_variable_is_the_one_that_prisma_reads(shape, files, place):
    assert evidence(shape.files(PROJECT | files).init(), "env") == ("LAMPS_URL", place, "read by Prisma")


def test_the_usual_variable_is_no_news(shape):
    said = shape.files(PROJECT | {"prisma/schema.prisma": schema(url='url = env("DATABASE_URL")')}).init()
    assert "env" not in said["text"]
    assert any("DATABASE_URL is read here" in note["text"] for note in said["notes"])


@pytest.mark.parametrize(
    ("files", "place"),
    [
        (
            {"prisma.config.ts": "export default {\n  migrations: { seed: 'tsx prisma/seed.ts' },\n};"},
            "prisma.config.ts:2",
        ),
        ({"package.json": '{\n  "prisma": {\n    "seed": "tsx prisma/seed.ts"\n  }\n}'}, "package.json:3"),
    ],
)
def test_a_seed_script_is_named_and_left_to_the_user(shape, files, place):
    said = shape.files(PROJECT | {"prisma/schema.prisma": schema()} | files).init()
    assert "seed" not in said["text"]
    [note] = [one for one in said["notes"] if "seed script" in one["text"]]
    assert note["about"] == place
    assert 'seed = "tsx prisma/seed.ts"' in note["text"]


@pytest.mark.parametrize("broken", ["{", "[]", '{"prisma": []}', '{"prisma": {"seed": 1}}'])
def test_a_package_json_that_says_nothing_of_the_kind_is_no_obstacle(shape, broken):
    said = shape.files(PROJECT | {"prisma/schema.prisma": schema(), "package.json": broken}).init()
    assert not any("seed script" in note["text"] for note in said["notes"])


def test_beside_python_pytest_s_keys_are_asked_for_as_ever(shape):
    said = shape.files(PROJECT | {"prisma/schema.prisma": schema(), "app/__init__.py": ""}).init()
    assert "app" in said["missing"]


@pytest.mark.parametrize("folder", ["drizzle", "migrations", "src/db/sql"])
@pytest.mark.parametrize("count", [1, 2])
def test_files_of_sql_with_numbers_are_taken_as_a_folder_though_there_is_only_the_first(shape, folder, count):
    files = {f"{folder}/000{number}_lamps.sql": f"CREATE TABLE lamp{number} ();" for number in range(count)}
    said = shape.files({"package.json": "{}"} | files).init()
    how = (
        "1 file of SQL: each later one belongs to it"
        if count == 1
        else "2 files of SQL, run in the order of their names"
    )
    assert evidence(said, "schema") == (folder, folder, f"a folder of {how}")


@pytest.mark.parametrize(("files", "whose"), [({}, "Prisma"), ({"drizzle/1_lamps/snapshot.json": "{}"}, "Drizzle")])
def test_a_folder_for_each_migration_is_taken_whoever_made_it(shape, files, whose):
    said = shape.files({"package.json": "{}", "drizzle/1_lamps/migration.sql": "CREATE TABLE a ();"} | files).init()
    assert evidence(said, "schema") == ("drizzle", "drizzle", f"1 migration of {whose}, run as the SQL that they are")


def test_one_file_with_a_number_among_others_without_makes_no_folder_of_migrations(shape):
    files = {"scripts/2fa.sql": "CREATE TABLE codes ();", "scripts/cleanup.sql": "DELETE FROM codes;"}
    assert "schema" not in shape.files({"package.json": "{}"} | files).init()["text"].replace("# schema", "")


def test_a_project_of_another_test_runner_is_told_what_there_is_for_that(shape):
    shape.files({"package.json": '{"devDependencies": {"jest": "30"}}'})
    _, printed, _ = shape.run("init", str(shape.folder), "--dry-run")
    assert (
        "preset: '@seatrial/vitest/jest' for Jest, '@seatrial/vitest/node-test', and '@seatrial/vitest/core'" in printed
    )


def test_what_is_left_to_fill_in_without_python_is_what_such_a_project_may_have(shape):
    text = shape.files({"package.json": "{}"}).init()["text"]
    assert "alembic" not in text
    assert '# schema = "npx' in text
