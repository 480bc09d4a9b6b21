"""What a valid configuration becomes, and which of its three layers wins."""

from __future__ import annotations

import pickle

import pytest

from seatrial.config.layers import pairs
from seatrial.config.load import from_registry, load
from seatrial.config.model import Config, ResourceConfig, used_elsewhere
from seatrial.errors import ConfigError

SIX_LINES = """
    [tool.seatrial]
    app = "app.main:app"

    [tool.seatrial.resources.db]
    kind = "postgres"
    schema = "app.database:Base"
    override = "app.database:get_db"
"""


def test_six_lines_are_a_configuration(files, tmp_path):
    assert files.load(SIX_LINES) == Config(
        root=tmp_path,
        source=tmp_path / "pyproject.toml",
        app="app.main:app",
        resources=(
            ResourceConfig(name="db", kind="postgres", schema=("app.database:Base",), override="app.database:get_db"),
        ),
    )


def test_every_key_is_taken(files):
    config = files.load("""
        [tool.seatrial]
        app = "app.main:create_app()"
        idle = 2.5
        strict = "outbound"
        allow_hosts = ["api.example.org:443"]
        [tool.seatrial.resources.db]
        kind = "postgres"
        version = ">=16"
        provider = "embedded"
        at = "postgresql://test:test@localhost:5432/testdb"
        env = { DB_HOST = "{host}", DB_DSN = "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}" }
        role = "app"
        schema = ["alembic.ini", "views.sql"]
        seed = "tests.seed:load"
        override = "app.database:get_db"
        isolation = "clone"
        extensions = ["vector"]
        durable = true
        inputs = ["migrations/**"]
        start = "early"
        recycle = true
    """)
    (db,) = config.resources
    assert config.idle == 2.5
    assert (config.strict, config.allow_hosts) == (("outbound",), ("api.example.org:443",))
    assert db.env["DB_HOST"] == "{host}"
    assert (db.schema, db.seed) == (("alembic.ini", "views.sql"), ("tests.seed:load",))
    assert (db.durable, db.recycle, db.start, db.isolation) == (True, True, "early", "clone")


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ('"DB_URL"', {"DB_URL": "{url}"}),
        ('["DB_URL", "OTHER"]', {"DB_URL": "{url}", "OTHER": "{url}"}),
        ('{ DB = "{host}:{port}" }', {"DB": "{host}:{port}"}),
    ],
)
def test_a_variable_may_be_a_name_a_list_or_a_table(files, written, taken):
    config = files.load(f'[tool.seatrial.resources.db]\nkind = "postgres"\nenv = {written}\n')
    assert config.resources[0].env == taken


def test_a_file_of_its_own_has_the_same_keys_without_the_prefix(files, known):
    source = files.write('app = "a:b"\n[resources.db]\nkind = "postgres"\n', "seatrial.toml")
    config = load(source, environ={}, known=known)
    assert (config.app, config.resources[0].kind) == ("a:b", "postgres")


def test_the_environment_beats_the_file_and_the_command_line_beats_both(files):
    environ = {"SEATRIAL_DB_ISOLATION": "clone", "SEATRIAL_APP": "other:app", "SEATRIAL_IDLE": "3"}
    config = files.load(SIX_LINES, environ, {"db.isolation": "rollback"})
    assert (config.app, config.idle, config.resources[0].isolation) == ("other:app", 3.0, "rollback")


def test_each_kind_of_value_can_come_from_the_environment(files):
    environ = {
        "SEATRIAL_DB_DURABLE": "yes",
        "SEATRIAL_DB_EXTENSIONS": '["vector", "citext"]',
        "SEATRIAL_DB_SCHEMA": "schema.sql",
        "SEATRIAL_DB_ENV": '{ A = "{host}" }',
    }
    (db,) = files.load(SIX_LINES, environ).resources
    assert (db.durable, db.extensions, db.schema, db.env) == (
        True,
        ("vector", "citext"),
        ("schema.sql",),
        {"A": "{host}"},
    )


def test_an_empty_variable_says_nothing(files):
    assert files.load(SIX_LINES, {"SEATRIAL_DB_URL": "", "SEATRIAL_APP": " "}).app == "app.main:app"


def test_a_url_from_the_environment_takes_the_place_of_the_address_and_provider_of_the_file(files):
    text = '[tool.seatrial.resources.db]\nkind = "postgres"\nat = "postgresql://t:t@localhost:5432/t"\n'
    (db,) = files.load(text, {"SEATRIAL_DB_URL": "postgresql://u:p@ci:5432/x"}).resources
    assert (db.url, db.at) == ("postgresql://u:p@ci:5432/x", "")


def test_a_variable_belongs_to_the_resource_with_the_longest_fitting_name(files):
    text = """
        [tool.seatrial.resources.db]
        kind = "postgres"
        [tool.seatrial.resources.db_read]
        kind = "postgres"
        env = "READ_URL"
    """
    db, db_read = files.load(text, {"SEATRIAL_DB_READ_ROLE": "reader"}).resources
    assert (db.role, db_read.role) == ("", "reader")


def test_variables_of_ours_that_are_no_configuration_are_left_alone(files):
    assert files.load(SIX_LINES, {"SEATRIAL_CACHE": "/tmp/x", "SEATRIAL_RUN": "{}"}).app == "app.main:app"


def test_a_configuration_knows_where_each_key_was_set(files, tmp_path):
    config = files.load(SIX_LINES, {"SEATRIAL_APP": "other:app"})
    assert config.origins["app"] == "environment variable SEATRIAL_APP"
    assert config.origins["resources.db.schema"] == f"{tmp_path / 'pyproject.toml'}:6"


@pytest.mark.parametrize("seconds", ["2.5", "3", '"4"'])
def test_a_key_of_one_kinds_own_may_be_a_number(files, seconds):
    config = files.load(f"""
        [tool.seatrial.resources.db]
        kind = "postgres"
        connections = {seconds}
    """)
    assert config.resources[0].options["connections"] == seconds.strip('"')


def test_options_stand_on_a_command_line_as_key_and_value():
    assert pairs(["db.isolation=clone", "db.url=postgresql://h/x?a=b"]) == {
        "db.isolation": "clone",
        "db.url": "postgresql://h/x?a=b",
    }
    with pytest.raises(ConfigError, match=r"`db\.isolation` sets no key"):
        pairs(["db.isolation"])


def test_a_configuration_never_shows_the_password_of_a_url(files):
    text = '[tool.seatrial.resources.db]\nkind = "postgres"\nurl = "postgresql://u:s3cret@h:5432/x"\n'
    assert "s3cret" not in repr(files.load(text))


def test_a_configuration_can_be_sent_to_another_process(files):
    config = files.load(SIX_LINES)
    assert pickle.loads(pickle.dumps(config)) == config


def test_the_kinds_and_providers_that_are_built_in_are_known():
    known = from_registry()
    assert {"postgres", "sqlite"} <= set(known.kinds)
    assert {"embedded", "binary", "url"} <= set(known.providers)
    assert known.kinds["sqlite"].serverless
    assert not known.kinds["postgres"].serverless


def test_a_bare_number_is_any_version_of_that_number(files):
    (db,) = files.load('[tool.seatrial.resources.db]\nkind = "postgres"\nversion = "16"\n').resources
    assert db.version == "==16.*"


def test_services_say_who_needs_whom_and_a_process_keeps_its_variables_to_itself(files):
    config = files.load("""
        [tool.seatrial.services.orders]
        app = "orders:app"
        env = { STOCK_URL = "{services.stock}/v1", MODE = "test" }
        resources = ["db"]
        [tool.seatrial.services.stock]
        cmd = "node stock.js"
        ready = "/health"
        resources = ["levels"]
        [tool.seatrial.resources.db]
        kind = "postgres"
        [tool.seatrial.resources.levels]
        kind = "postgres"
    """)
    orders, stock = config.services
    assert (orders.run, orders.needs, stock.run, stock.needs) == ("inline", ("stock",), "process", ())
    urls = {"stock": "http://127.0.0.1:1"}
    assert orders.variables(urls) == {"STOCK_URL": "http://127.0.0.1:1/v1", "MODE": "test"}
    assert [used_elsewhere(config.services, name) for name in ("db", "levels")] == [False, True]
    assert config.table()["services"]["stock"] == {"cmd": "node stock.js", "ready": "/health", "resources": ["levels"]}


def test_a_file_of_our_own_with_the_tables_of_a_pyproject_toml_is_told_how_they_are_written_there(files, known):
    source = files.write(SIX_LINES, "seatrial.toml")
    with pytest.raises(ConfigError, match=r"has tables in \[tool\.seatrial\]") as caught:
        load(source, environ={}, known=known)
    assert "[resources.db]" in caught.value.fix
    source.write_text(source.read_text().replace("tool.seatrial.", "").replace("[tool.seatrial]", ""))
    assert load(source, environ={}, known=known).app == "app.main:app"
