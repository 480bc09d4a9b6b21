"""Whatever stands in the file: it is a configuration, or an error that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from seatrial.cli.proposal.write import literal
from seatrial.config.check import check
from seatrial.config.explain import Findings
from seatrial.config.keys import RESOURCE, TOP, KindFacts, Known
from seatrial.config.layers import apply, from_environment, from_options
from seatrial.config.load import load
from seatrial.config.model import Config, ResourceConfig
from seatrial.errors import ConfigError

KNOWN = Known(
    kinds={"postgres": KindFacts(env="DATABASE_URL"), "sqlite": KindFacts(env="DATABASE_URL", serverless=True)},
    providers=("embedded", "binary", "container", "url"),
)
SOURCE = Path("/nowhere/pyproject.toml")
TELLING = st.sampled_from(
    [
        *("", "postgres", "sqlite", "reset", "auto", "url", "app.main:app", "a:b()", "lazy", ">=16", "x\x00y"),
        *("{host}", "{", "}", "{0}", "{a.b[1]!r:x}"),
        *("postgresql://u:p@localhost:5432/x", "postgresql://[", "postgresql://h:99999/x", "://"),
    ]
)
scalars = st.one_of(
    TELLING, st.text(), st.booleans(), st.integers(), st.floats(), st.dates(), st.times(), st.datetimes(),
    st.just(10**400),
)  # fmt: skip
values = st.recursive(
    scalars, lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3), max_leaves=6
)
resources = st.dictionaries(st.sampled_from([*RESOURCE, "adapt", ""]) | st.text(max_size=5), values, max_size=6)
tables = st.dictionaries(
    st.sampled_from([*TOP, "services", ""]) | st.text(max_size=5),
    values
    | st.dictionaries(st.sampled_from(["db", "audit", "DB", "a b", ""]) | st.text(max_size=5), values | resources),
    max_size=4,
)
texts = st.text(st.characters(codec="utf-8"))


def judged(table: dict) -> Config | None:
    findings = Findings(".".join)
    config = check(table, known=KNOWN, findings=findings, source=SOURCE)
    assert (config is None) == bool(findings.problems)
    for problem in findings.problems:
        assert problem.what
        assert problem.fix
    return config


@given(tables)
def test_any_values_are_a_configuration_or_are_explained(table):
    judged(table)


@given(
    tables,
    st.dictionaries(
        st.sampled_from(["SEATRIAL_DB_URL", "SEATRIAL_AUDIT_ENV", "SEATRIAL_IDLE", "SEATRIAL_DB_", "X"]), st.text()
    ),
    st.dictionaries(
        st.sampled_from(["db.isolation", "app", "", ".", "db", "resources", "resources.db.url"]), st.text()
    ),
)
def test_any_overrides_are_a_configuration_or_are_explained(table, environ, options):
    judged(apply(apply(table, tuple(from_environment(environ, table))), tuple(from_options(options))))


@given(st.binary() | texts.map(str.encode) | st.text("[]=.'\"\n#tolseari{}, ").map(str.encode))
def test_any_file_is_a_configuration_or_is_explained(tmp_path, content):
    source = tmp_path / "seatrial.toml"
    source.write_bytes(content)
    told = ""
    try:
        told = str(load(source, environ={}, known=KNOWN).source)
    except ConfigError as error:
        told = str(error)
    assert str(source) in told


names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: judged({"resources": {name: {"kind": "sqlite"}}})
)
paths = st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5})?:[A-Z][a-z]{0,4}", fullmatch=True)
words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).map(str.strip).filter(bool)
lists = st.lists(words, min_size=1, max_size=3).map(tuple)


@st.composite
def configs(draw) -> Config:
    made = []
    for index, name in enumerate(draw(st.lists(names, max_size=3, unique_by=lambda name: name.removesuffix("_url")))):
        resource = ResourceConfig(
            name=name,
            kind="postgres",
            version=draw(st.sampled_from(["", ">=16", "==17.*,!=17.2"])),
            at=draw(st.sampled_from(["", f"postgresql://t:p%40@localhost:{5000 + index}/x"])),
            env={f"V{index}": draw(st.sampled_from(["{url}", "{{}}{host}:{port}", "fixed"]))},
            schema=draw(st.just(()) | lists),
            seed=draw(st.just(()) | lists),
            override=f"m{index}:{draw(paths).partition(':')[2]}",
            isolation=draw(st.sampled_from(["reset", "rollback", "clone"])),
            extensions=draw(st.just(()) | lists),
            durable=draw(st.booleans()),
            start=draw(st.sampled_from(["lazy", "early"])),
            recycle=draw(st.booleans()),
        )
        made.append(resource)
    seconds = draw(st.none() | st.floats(min_value=0, max_value=1e9))
    return Config(root=SOURCE.parent, source=SOURCE, app=draw(st.just("") | paths), resources=tuple(made), idle=seconds)


@given(configs())
def test_a_valid_configuration_survives_being_written_and_read(config):
    assert judged(config.table()) == config


@given(configs())
def test_a_valid_configuration_survives_a_file(tmp_path, config):
    lines = [f"{key} = {literal(value)}" for key, value in config.table().items() if key != "resources"]
    for name, keys in config.table().get("resources", {}).items():
        lines += [f"[resources.{name}]", *(f"{key} = {literal(value)}" for key, value in keys.items())]
    source = tmp_path / "seatrial.toml"
    source.write_text("\n".join(lines), "utf-8", newline="")
    read = load(source, environ={}, known=KNOWN)
    assert (read.table(), read.app, read.idle) == (config.table(), config.app, config.idle)
