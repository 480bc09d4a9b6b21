"""The page about the HTTP API lists every endpoint and every status, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from seatrial.control.api.endpoints import ENDPOINTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "http-api.md").read_text()


def test_every_endpoint_is_listed_and_no_other():
    listed = re.findall(r"^\| `([A-Z]+) (/\S+)` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted((endpoint.method, endpoint.path) for endpoint in ENDPOINTS)


def test_every_status_is_explained():
    explained = {
        int(status) for row in re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE) for status in row.split(",")
    }
    told = {status for endpoint in ENDPOINTS for status in endpoint.statuses()}
    assert told | {404, 405, 500} == explained
