"""An import path leads to its object, or to a message that says whose mistake it is."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

import pytest

from seatrial.core.importing import import_object
from seatrial.errors import AppError, ConfigError


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes modules; what they import is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(**files):
        for name, text in files.items():
            path = tmp_path.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return tmp_path

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_an_attribute_of_a_module_in_the_project_s_root(project):
    root = project(shop__main="app = 'the app'")
    assert import_object("shop.main:app", root) == "the app"


def test_an_attribute_of_an_attribute(project):
    root = project(wired="class Container:\n    app = 'the app'\n")
    assert import_object("wired:Container.app", root) == "the app"


def test_a_factory_is_called(project):
    root = project(factory="def create_app():\n    return 'made'\n")
    assert import_object("factory:create_app()", root) == "made"
    assert callable(import_object("factory:create_app", root))


def test_a_project_with_a_src_folder(project):
    root = project(src__laid__main="app = 1")
    assert import_object("laid.main:app", root) == 1


def test_the_project_s_module_wins_over_one_of_the_same_name(project, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "twice.py").write_text("app = 'other'")
    sys.path.insert(0, str(other))
    root = project(twice="app = 'ours'")
    assert import_object("twice:app", root) == "ours"


@pytest.mark.parametrize(
    "reference", ["shop", "shop.main.app", "shop/main.py:app", "shop.main:", ":app", "shop:app(1)"]
)
def test_what_is_no_import_path_is_refused(project, reference):
    with pytest.raises(ConfigError) as caught:
        import_object(reference, project())
    assert "package.module:attribute" in caught.value.fix


def test_a_module_that_is_not_there_and_the_nearest_that_is(project):
    root = project(shop__main="app = 1")
    with pytest.raises(ConfigError) as caught:
        import_object("shop.mian:app", root)
    assert caught.value.what == '"shop.mian:app": there is no module shop.mian'
    assert caught.value.fix == 'write "shop.main:app"'


def test_a_module_that_is_not_there_in_a_package_that_is_not_there(project):
    with pytest.raises(ConfigError, match="there is no module nowhere"):
        import_object("nowhere.at.all:app", project())


def test_an_attribute_that_is_not_there_and_the_nearest_that_is(project):
    root = project(nearly="application = 1\nother = 2\n")
    with pytest.raises(ConfigError) as caught:
        import_object("nearly:aplication", root)
    assert caught.value.what == '"nearly:aplication": the module nearly has no "aplication"'
    assert caught.value.fix == 'write "nearly:application"'


def test_the_nearest_attribute_takes_the_place_of_the_wrong_one_alone(project):
    root = project(ap__ap="class App:\n    app = 1\n\nclass make:\n    ap = App\n")
    with pytest.raises(ConfigError) as caught:
        import_object("ap.ap:make.ap.ap()", root)
    assert caught.value.fix == 'write "ap.ap:make.ap.app()"'


def test_a_package_that_the_app_needs_and_nobody_installed_is_the_app_s_own_error(project):
    root = project(needy="import surely_not_installed\n")
    with pytest.raises(AppError) as caught:
        import_object("needy:app", root)
    assert "No module named 'surely_not_installed'" in caught.value.cause
    assert "surely_not_installed" in caught.value.fix


def test_the_app_s_traceback_shows_the_project_s_frames_only(project):
    root = project(
        broken="import json\nfrom inner import settings\n",
        inner="import json\nsettings = json.loads('{not json')\n",
    )
    with pytest.raises(AppError) as caught:
        import_object("broken:app", root)
    cause = caught.value.cause
    assert "broken.py" in cause
    assert "inner.py" in cause
    assert "JSONDecodeError" in cause
    assert "importlib" not in cause
    assert "decoder.py" not in cause


def test_a_syntax_error_shows_its_line(project):
    root = project(typo="app = = 1\n")
    with pytest.raises(AppError) as caught:
        import_object("typo:app", root)
    assert "app = = 1" in caught.value.cause
    assert "SyntaxError" in caught.value.cause


def test_a_module_that_ends_the_program_is_an_error_and_not_the_end(project):
    root = project(quits="import sys\nsys.exit('settings missing')\n")
    with pytest.raises(AppError) as caught:
        import_object("quits:app", root)
    assert "settings missing" in caught.value.cause


def test_a_factory_that_fails_is_told_apart_from_one_that_is_not_there(project):
    root = project(failing="def make():\n    raise LookupError('no DATABASE_URL')\nnot_callable = 3\n")
    with pytest.raises(AppError) as caught:
        import_object("failing:make()", root)
    assert "no DATABASE_URL" in caught.value.cause
    with pytest.raises(ConfigError, match="can't be called: it is a int"):
        import_object("failing:not_callable()", root)


def test_a_password_in_the_app_s_error_is_hidden(project):
    root = project(leaky="raise RuntimeError('no postgresql://app:hunter22@localhost/app')\n")
    with pytest.raises(AppError) as caught:
        import_object("leaky:app", root)
    assert "hunter22" not in str(caught.value)


def test_a_variable_that_the_environment_lacks_is_led_to_the_key_that_exports_it(project, monkeypatch):
    root = project(reads="import os\nurl = os.environ['PARCEL_DB']", keyed="{}['lower']", set_one="{}['PARCEL_DB']")
    with pytest.raises(AppError) as caught:
        import_object("reads:url", root)
    assert caught.value.fix.startswith('if PARCEL_DB is the address of a resource, write env = "PARCEL_DB"')
    monkeypatch.setenv("PARCEL_DB", "sqlite://")
    for other in ("keyed:url", "set_one:url"):
        with pytest.raises(AppError) as caught:
            import_object(other, root)
        assert caught.value.fix.startswith("mend the error above")


def test_what_shows_all_of_an_error_can_be_typed(project):
    root = project(src__shop__main="1 / 0", src__shop__made="def create_app():\n    1 / 0\n")
    for reference in ("shop.main:app", "shop.made:create_app()"):
        with pytest.raises(AppError) as caught:
            import_object(reference, root)
        [command, folder] = re.search(r"`(python -c .*)` in (\S+),", caught.value.fix).groups()
        typed = subprocess.run(
            ["sh", "-c", command.replace("python", sys.executable, 1)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert typed.stderr.startswith("Traceback")
        assert typed.stderr.rstrip().endswith("ZeroDivisionError: division by zero")


def test_a_factory_that_takes_arguments_is_told_without_our_own_lines(project):
    root = project(needing="def create_app(settings): ...")
    with pytest.raises(AppError) as caught:
        import_object("needing:create_app()", root)
    assert caught.value.cause == "TypeError: create_app() missing 1 required positional argument: 'settings'"
