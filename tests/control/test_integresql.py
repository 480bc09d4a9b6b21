"""Clients of IntegreSQL, as others wrote them, work unchanged: one from PyPI, one from npm."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys

import psycopg
import pytest
import requests

from seatrial.control.server import Options

integresql = pytest.importorskip("integresql_client_python")

NODE = """
const { IntegreSQLClient } = require('@devoxa/integresql-client')
const { execFileSync } = require('child_process')
const sql = (url, text) =>
  execFileSync(process.env.PYTHON, ['-c', 'import sys, psycopg\\nwith psycopg.connect(sys.argv[1], autocommit=True) as c:\\n' +
    ' r = c.execute(sys.argv[2]); print(r.fetchone()[0] if r.description else "")', url, text]).toString().trim()

async function main() {
  const client = new IntegreSQLClient({ url: process.argv[2] })
  let filled = 0
  for (let twice = 0; twice < 2; twice++) {
    await client.initializeTemplate('node-1', async (config) => {
      filled++
      sql(client.databaseConfigToConnectionUrl(config), "create table t (a int); insert into t values (7)")
    })
  }
  const one = client.databaseConfigToConnectionUrl(await client.getTestDatabase('node-1'))
  const two = client.databaseConfigToConnectionUrl(await client.getTestDatabase('node-1'))
  sql(one, 'insert into t values (8)')
  const raw = await client.api.getTestDatabase('node-1')
  await client.api.reuseTestDatabase('node-1', raw.id)
  await client.api.recreateTestDatabase('node-1', raw.id)
  let failed = ''
  await client.initializeTemplate('node-2', async () => { throw new Error('no luck') }).catch((e) => { failed = e.message })
  const gone = await client.getTestDatabase('node-2').catch((e) => e.responseStatus)
  console.log(JSON.stringify({ filled, apart: one !== two, rows: [sql(one, 'select count(*) from t'), sql(two, 'select count(*) from t')], failed, gone }))
}
main()
"""


@pytest.fixture(scope="module")
def url(serving):
    with serving(options=Options(integresql=0), copies=3, wait=5) as served:
        yield served.told["integresql"]


@pytest.fixture
def client(url, tmp_path, request):
    """A client whose hash is that of a folder of its own."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "1.sql").write_text(request.node.name)
    made = integresql.IntegreSQL(folder, base_url=f"{url}/api")
    yield made
    with contextlib.suppress(integresql.errors.TemplateNotFound):
        made.discard_template(made.tpl_hash)
    made.close()


def run(database, statement):
    with psycopg.connect(str(database), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def filled(client):
    with client.get_template().initialize() as database:
        if database is not None:
            run(
                database,
                "create table users (id serial primary key, name text); insert into users (name) values ('Ada')",
            )
    return client.get_template()


def test_a_template_is_filled_once_and_databases_come_from_it(client):
    template = client.get_template().initialize()
    assert template.dbinfo is not None
    again = client.get_template().initialize()
    assert again.dbinfo is None, "423: somebody fills it already"
    run(template.dbinfo, "create table users (name text); insert into users values ('Ada')")
    template.finalize()
    template.finalize()  # said twice, as the original allows
    with template.get_database() as one, template.get_database() as two:
        assert str(one) != str(two)
        run(one, "insert into users values ('Grace')")
        assert run(two, "select * from users") == [("Ada",)]


def test_an_unlocked_database_that_was_written_to_is_noticed_and_comes_back_clean(client, url):
    template = filled(client)
    one = template.get_database().open()
    run(one, "insert into users (name) values ('Grace')")
    path = f"{url}/api/v1/templates/{client.tpl_hash}/tests/{one.db_id}"
    answer = requests.post(f"{path}/unlock", timeout=30)
    assert (answer.status_code, answer.headers["Seatrial-Undone"]) == (204, "users, users_id_seq")
    again = template.get_database().open()
    assert again.name == one.name, "the same database, without a new clone"
    assert run(again, "select * from users") == [(1, "Ada")]
    template.get_database().mark_unmodified(again)
    assert "Seatrial-Undone" not in requests.delete(path, timeout=30).headers, (
        "given back twice: as the original allows"
    )


def test_recreate_is_a_reset(client, url):
    template = filled(client)
    one = template.get_database().open()
    run(one, "truncate users")
    path = f"{url}/api/v1/templates/{client.tpl_hash}/tests/{one.db_id}"
    assert requests.post(f"{path}/recreate", timeout=30).status_code == 204
    assert run(one, "select * from users") == [(1, "Ada")]


def test_databases_that_nobody_gives_back_are_taken_back_but_never_from_who_is_connected(client):
    """Three can be out: the one that is in use stays, of the others the oldest goes to the fourth."""
    template = filled(client)
    first = template.get_database().open()
    with psycopg.connect(str(first), autocommit=True) as busy:
        busy.execute("insert into users (name) values ('mine')")
        others = [template.get_database().open() for _ in range(2)]
        run(others[0], "insert into users (name) values ('left behind')")
        fourth = template.get_database().open()
        assert fourth.name == others[0].name
        assert run(fourth, "select name from users") == [("Ada",)]
        assert busy.execute("select name from users order by id").fetchall() == [("Ada",), ("mine",)]


def test_unknown_templates_and_databases_are_told_apart_as_the_clients_expect(client, url):
    with pytest.raises(integresql.errors.TemplateNotFound):
        client.get_template().get_database().open()
    with pytest.raises(integresql.errors.TemplateNotFound):
        client.get_template().finalize()
    with pytest.raises(integresql.errors.TemplateNotFound):
        client.discard_template("nobody-made-this")
    filled(client)
    base = f"{url}/api/v1/templates"
    assert requests.delete(f"{base}/{client.tpl_hash}/tests/999999", timeout=30).status_code == 404
    assert requests.delete(f"{base}/{client.tpl_hash}/tests/none", timeout=30).status_code == 400
    assert requests.post(base, json={}, timeout=30).status_code == 400
    assert (
        requests.post(base, json={"hash": "x"}, headers={"Origin": "https://a.example"}, timeout=30).status_code == 403
    )


def test_a_template_that_was_given_up_can_be_begun_again(client):
    template = client.get_template().initialize()
    template.discard()
    again = client.get_template().initialize()
    assert again.dbinfo is not None
    again.finalize()
    again.discard()
    assert client.get_template().initialize().dbinfo is not None


def test_after_a_reset_of_everything_each_template_is_filled_anew(client):
    filled(client)
    client.reset_all_tracking()
    with pytest.raises(integresql.errors.TemplateNotFound):
        client.get_template().get_database().open()
    assert client.get_template().initialize().dbinfo is not None


def test_the_client_from_npm_works_unchanged(url, tmp_path):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm on this machine")
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--silent", "@devoxa/integresql-client@2"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if installed.returncode:
        pytest.skip(f"npm can't install @devoxa/integresql-client: {installed.stderr.strip()[-200:]}")
    done = subprocess.run(
        ["node", "-e", NODE, "x", f"{url}/"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHON": sys.executable}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ('{"filled":1,"apart":true,"rows":["2","1"],"failed":"no luck","gone":404}'), (
        done.stderr
    )
