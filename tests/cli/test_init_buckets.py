"""`seatrial init` proposes a bucket where the product makes a client of S3."""

from __future__ import annotations

import pytest

from seatrial.config.find import find
from seatrial.config.keys import KindFacts, Known
from seatrial.config.load import load

KNOWN = Known(
    kinds={"postgres": KindFacts(env="DATABASE_URL"), "s3": KindFacts(env="S3_URL")},
    providers=("embedded",),
)
BY_ITSELF = {
    "AWS_ENDPOINT_URL_S3": "http://{host}:{port}",
    "AWS_ACCESS_KEY_ID": "{user}",
    "AWS_SECRET_ACCESS_KEY": "{password}",
}


def bucket(said):
    start = "resources.bucket."
    return {one["key"].removeprefix(start): one for one in said["values"] if one["key"].startswith(start)}


@pytest.mark.parametrize(
    "code",
    [
        'import boto3\ns3 = boto3.client("s3")\n',
        'import boto3\ns3 = boto3.resource(service_name="s3", region_name="x")\n',
        'import aioboto3\nasync def f():\n    async with aioboto3.Session().client("s3") as s3:\n        pass\n',
        'from aiobotocore.session import get_session\ndef f():\n    return get_session().create_client("s3")\n',
    ],
)
def test_whoever_makes_a_client_gets_a_bucket(shape, code):
    said = shape.files({"app/files.py": code}).init()
    assert bucket(said)["kind"]["value"] == "s3"
    assert bucket(said)["kind"]["from"].startswith("app/files.py:")
    assert bucket(said)["env"]["value"] == BY_ITSELF
    [note] = [one for one in said["notes"] if "a bucket of its own" in one["text"]]
    assert note["about"] == bucket(said)["kind"]["from"]


@pytest.mark.parametrize(
    "files",
    [
        {"app/mail.py": 'import boto3\nses = boto3.client("ses")\n'},
        {"tests/test_files.py": 'import boto3\ns3 = boto3.client("s3")\n'},
        {"app/other.py": 'import other\ns3 = other.client("s3")\n'},
    ],
)
def test_whoever_makes_none_gets_none(shape, files):
    assert bucket(shape.files(files).init()) == {}


def test_the_variables_that_the_app_reads_are_led_to_the_bucket(shape):
    said = shape.files(
        {
            "app/settings.py": """
                from pydantic_settings import BaseSettings

                class Settings(BaseSettings):
                    secret_key: str = ""
                    s3_bucket: str = "uploads"
                    s3_endpoint_url: str = "http://localhost:9000"
                    minio_endpoint: str = "localhost:9000"
                    s3_access_key: str = ""
                    s3_secret_key: str = ""
            """,
            "app/files.py": 'import boto3\ns3 = boto3.client("s3")\n',
        }
    ).init()
    assert bucket(said)["env"]["value"] == BY_ITSELF | {
        "S3_BUCKET": "{database}",
        "S3_ENDPOINT_URL": "http://{host}:{port}",
        "MINIO_ENDPOINT": "{host}:{port}",
        "S3_ACCESS_KEY": "{user}",
        "S3_SECRET_KEY": "{password}",
    }
    assert bucket(said)["env"]["from"] == "app/settings.py:5"
    assert not any("a bucket of its own" in one["text"] for one in said["notes"])


def test_what_is_written_is_a_valid_configuration(shape):
    shape.files(
        {"app.py": 'import os, boto3\ns3 = boto3.client("s3")\nhere = os.environ["A_BUCKET"], os.environ["B_BUCKET"]\n'}
    )
    _, out, _ = shape.run("init", str(shape.folder))
    assert "bucket.kind app.py:2: a client of S3, by boto3" in out
    assert "A_BUCKET, B_BUCKET all name the worker's one bucket" in out
    config = load(find(shape.folder), environ={}, known=KNOWN)
    assert [(one.name, one.kind) for one in config.resources] == [("db", "postgres"), ("bucket", "s3")]
