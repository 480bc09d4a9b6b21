"""The benchmarks run to their end in their quickest form, and find what they are to find."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(tmp_path: Path, script: str, *arguments: str) -> tuple[str, dict]:
    found = tmp_path / "figures.json"
    argv = [sys.executable, str(ROOT / "benchmarks" / script), "--quick", "--json", str(found), *arguments]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads(found.read_text())


def test_a_part_of_the_benchmark_of_isolation_prints_its_table_and_draws_its_picture(tmp_path) -> None:
    told, found = run(tmp_path, "isolation.py", "--only", "sqlite", "--svg", "picture.svg")
    assert {figure["column"] for figure in found["figures"]} == {"SQLite, file", "SQLite, WAL", "SQLite, memory"}
    assert found["paths"]["Seatrial reset"] == {"copy": 120}
    assert len(found["claims"]) == 3
    assert "| Seatrial reset | check-in alone" in told
    assert "Seatrial reset" in (tmp_path / "picture.svg").read_text()


@pytest.mark.nightly
def test_the_benchmark_of_isolation_has_every_peer_and_every_column(tmp_path) -> None:
    _, found = run(tmp_path, "isolation.py", "--svg", "picture.svg")
    peers = {figure["peer"] for figure in found["figures"]}
    assert peers >= {
        "Seatrial reset",
        "Seatrial rollback",
        "Seatrial clone",
        "bare BEGIN, ROLLBACK",
        "SQLAlchemy recipe",
        "DELETE of all tables",
        "TRUNCATE of all tables",
        "create_all, drop_all",
        "CREATE DATABASE ... TEMPLATE, file_copy",
        "pytest: pytest-postgresql",
        "pytest: pytest-django",
    }
    columns = {figure["column"] for figure in found["figures"]}
    assert columns >= {"20 tables", "200 tables", "20 tables, 50,000 rows", "1 worker", "2 workers"}
    assert found["paths"]["Seatrial reset"].keys() == {"log", "copy"}
    assert found["skipped"].keys() <= {"data in shared memory"}


@pytest.mark.nightly
def test_the_benchmark_of_the_gate_has_a_figure_for_each_point(tmp_path) -> None:
    told, found = run(tmp_path, "gate.py")
    assert len(found["figures"]) == 5
    assert all(figure["ratio"] > 0 for figure in found["figures"])
    assert "0 of 6 readers taken for writers" in told


@pytest.mark.nightly
def test_the_benchmark_of_starts_has_every_kind(tmp_path) -> None:
    kinds = ["postgres", "valkey", "nats", *(["mariadb"] if shutil.which("mariadbd") else [])]
    argv = [sys.executable, str(ROOT / "benchmarks" / "start.py"), "--runs", "1", "--kind", *kinds]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [kind for kind in kinds if f"{kind}: from pytest to the first test" not in done.stdout] == []
    assert done.stdout.count("attached to, where it was up") == len(kinds)


def test_the_benchmark_of_clients_has_every_rival_and_its_claims(tmp_path) -> None:
    argv = [sys.executable, str(ROOT / "benchmarks" / "client.py"), "20"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for rival in ("TestClient, each its own loop", "TestClient, one loop"):
        assert done.stdout.count(rival) == 3
    assert done.stdout.count("httpx ASGITransport") == 3
    assert done.stdout.count("its own client") == 2  # Flask's, Django's
    _, claims = done.stdout.split("TestClient, times as long")
    assert claims.count("GET, ") == 2
    assert claims.count("POST JSON, ") == 1
