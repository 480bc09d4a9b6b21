"""What is published: the built wheel works in a virtual environment that has nothing else."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

uv = pytest.importorskip("uv", reason="uv builds and installs the wheel, and is not installed here")

LOAD = """
from importlib.metadata import entry_points
from importlib.util import find_spec

groups = ["console_scripts", "pytest11", "seatrial.kinds", "seatrial.providers"]
ours = [point for group in groups for point in entry_points(group=group) if point.module.startswith("seatrial")]
for point in ours:
    # The plugin needs pytest, which only projects with tests have; all else must load with nothing but us.
    found = find_spec(point.module) if point.group == "pytest11" else point.load()
    assert found is not None, point
    print(point.group, point.name)
"""


def run(*argv: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([str(arg) for arg in argv], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(root, tmp_path_factory) -> Path:
    """A folder with the source archive, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(uv.find_uv_bin(), "build", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, root)
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory) -> Path:
    """The interpreter of an environment with the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    run(uv.find_uv_bin(), "pip", "install", "--python", python, wheel)
    return python


def test_the_wheel_holds_the_package_and_says_that_it_is_typed(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "seatrial/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"seatrial"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_source_archive_brings_what_its_own_tests_need(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "src/seatrial/py.typed"} <= names


def test_every_entry_point_loads_in_a_bare_environment(bare, tmp_path):
    assert sorted(run(bare, "-c", LOAD, cwd=tmp_path).splitlines()) == [
        "console_scripts seatrial",
        "pytest11 seatrial",
        "seatrial.kinds command",
        "seatrial.kinds mariadb",
        "seatrial.kinds mysql",
        "seatrial.kinds nats",
        "seatrial.kinds postgres",
        "seatrial.kinds redis",
        "seatrial.kinds s3",
        "seatrial.kinds sqlite",
        "seatrial.kinds valkey",
        "seatrial.providers binary",
        "seatrial.providers container",
        "seatrial.providers embedded",
        "seatrial.providers url",
    ]


def test_the_command_line_answers_in_a_bare_environment(bare, tmp_path):
    assert "doctor" in run(bare.with_name("seatrial"), "--help", cwd=tmp_path)
