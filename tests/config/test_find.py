"""Where a configuration is found."""

from __future__ import annotations

import subprocess
import sys

import pytest

from seatrial.config.find import find
from seatrial.errors import ConfigError


def test_the_configuration_is_found_from_any_folder_below_it(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.seatrial]\napp = "a:b"\n')
    below = tmp_path / "tests" / "api"
    below.mkdir(parents=True)
    assert find(below) == tmp_path / "pyproject.toml"


def test_a_file_of_its_own_serves_where_pyproject_says_nothing(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")
    (tmp_path / "seatrial.toml").write_text('app = "a:b"\n')
    assert find(tmp_path) == tmp_path / "seatrial.toml"


def test_a_comment_about_us_is_no_configuration(tmp_path):
    (tmp_path / "pyproject.toml").write_text("# [tool.seatrial] comes later\n[project]\nname = 'x'\n")
    (tmp_path / ".git").mkdir()
    assert find(tmp_path) is None


def test_the_search_ends_at_the_repository(tmp_path):
    (tmp_path / "seatrial.toml").write_text('app = "a:b"\n')
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    assert find(repository) is None


def test_a_package_of_a_larger_repository_uses_the_configuration_above_it(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.seatrial]\n")
    package = tmp_path / "packages" / "shop"
    package.mkdir(parents=True)
    (package / "pyproject.toml").write_text("[project]\nname = 'shop'\n")
    assert find(package) == tmp_path / "pyproject.toml"


def test_two_configurations_in_one_folder_are_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.seatrial]\n")
    (tmp_path / "seatrial.toml").write_text("")
    with pytest.raises(ConfigError, match=r"seatrial\.toml, and \[tool\.seatrial\] in pyproject\.toml") as caught:
        find(tmp_path)
    assert "delete one of the two" in caught.value.fix


def test_a_broken_pyproject_is_told_only_where_it_mentions_us(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_text("[project\n")
    assert find(tmp_path) is None
    (tmp_path / "pyproject.toml").write_text("[project]\n[tool.seatrial\n")
    with pytest.raises(ConfigError, match=r"pyproject\.toml:2 is no valid TOML"):
        find(tmp_path)


def test_looking_in_a_project_without_us_imports_no_toml_reader(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (tmp_path / ".git").mkdir()
    program = (
        "import sys, pathlib\n"
        "from seatrial.config.find import find\n"
        f"assert find(pathlib.Path({str(tmp_path)!r})) is None\n"
        "assert not {'tomllib', 'packaging', 'difflib', 'seatrial.config.load'} & set(sys.modules), sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_project_of_node_keeps_it_in_package_json(tmp_path):
    (tmp_path / "package.json").write_text('{"name": "shop", "seatrial": {"resources": {}}}')
    assert find(tmp_path / "src") == tmp_path / "package.json"


@pytest.mark.parametrize("text", ['{"scripts": {"seatrial": "seatrial serve"}}', '["seatrial"]'])
def test_a_package_json_that_only_mentions_us_is_no_configuration(tmp_path, text):
    (tmp_path / ".git").mkdir()
    (tmp_path / "package.json").write_text(text)
    assert find(tmp_path) is None


def test_package_json_and_a_file_of_its_own_are_two_configurations(tmp_path):
    (tmp_path / "package.json").write_text('{"seatrial": {}}')
    (tmp_path / "seatrial.toml").write_text("")
    with pytest.raises(ConfigError, match=r"seatrial\.toml, and \"seatrial\" in package\.json"):
        find(tmp_path)


def test_a_broken_package_json_that_mentions_us_is_told_with_its_line(tmp_path):
    (tmp_path / "package.json").write_text('{\n  "seatrial": {,}\n}')
    with pytest.raises(ConfigError, match=r"package\.json:2 is no valid JSON"):
        find(tmp_path)
