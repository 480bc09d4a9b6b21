"""The examples of the frameworks: the tests of each pass as they stand, without a conftest."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PLUGINS = {
    "fastapi_async": ("-p", "anyio"),
    "flask_todos": (),
    "django_library": ("-p", "pytest_django.plugin"),
    "litestar_tickets": (),
}


@pytest.mark.parametrize("name", PLUGINS)
def test_its_tests_pass(name, tmp_path, clean_environ):
    folder = shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    assert not list(folder.rglob("conftest.py"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PLUGINS[name]],
        cwd=folder,
        env=clean_environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert int(last.split()[0]) >= 8, done.stdout
    assert "skipped" not in last, done.stdout
