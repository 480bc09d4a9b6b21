"""The description says what the server does: schemathesis asks everything that it allows, and what it forbids."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, settings

from seatrial.control.api.description import describe
from seatrial.control.api.endpoints import ENDPOINTS
from seatrial.control.leases.lease import Patience

schemathesis = pytest.importorskip("schemathesis")

ENDLESS = ("/v1/workers/{worker}/hold", "/v1/shutdown")
"""One is answered for ever, the other ends the server."""


@pytest.fixture(scope="module")
def asked(serving):
    with serving(patience=Patience(grace=0.2, unheld=0.5), copies=2, wait=1.0) as served:
        yield served.told


schema = schemathesis.openapi.from_dict(describe()).exclude(path=list(ENDLESS))


@schema.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
def test_schemathesis_finds_nothing(case, asked):
    headers = {"Authorization": f"Bearer {asked['token']}"}
    case.call_and_validate(base_url=asked["url"], headers=headers, timeout=120)


def test_every_message_that_the_server_sends_fits_its_schema(worker, client):
    description = describe()
    said = {
        "Worker": worker.told,
        "Checkout": worker.checkout("one"),
        "Checkin": worker.checkin(failed=True, keep=True),
        "Next": worker.next("two"),
        "Resources": client.get("/v1/resources"),
        "Log": client.get("/v1/resources/db/log"),
        "Health": client.get("/v1/health"),
    }
    for name, message in said.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": description["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(message)


def test_the_description_names_every_endpoint_once_and_needs_no_server():
    told = describe()
    assert sum(len(operations) for operations in told["paths"].values()) == len(ENDPOINTS)
    imported = "import sys, json; from seatrial.control.api.description import describe; describe(); "
    program = (
        imported + "print(json.dumps([name for name in ('starlette', 'uvicorn', 'psycopg') if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    assert json.loads(done.stdout) == []
