"""Clients of boto3's for our own work: no retries that hide an answer, no file of the user's that changes them."""

from __future__ import annotations

from typing import Any

from seatrial.errors import ConfigError
from seatrial.resources.protocol import Address

REGION = "us-east-1"


def resource(address: Address, made_of: Any, *, patience: float = 30) -> Any:
    """A `boto3` resource of the server at this address."""
    from botocore.config import Config

    port = f":{address.port}" if address.port else ""
    return made_of.resource(
        "s3",
        region_name=REGION,
        aws_access_key_id=address.user,
        aws_secret_access_key=address.password,
        endpoint_url=f"{address.scheme}://{address.host}{port}",
        config=Config(
            retries={"max_attempts": 0}, connect_timeout=5, read_timeout=patience, s3={"addressing_style": "path"}
        ),
    )


def session() -> Any:
    """What resources are made of: it reads what S3 is from its files, which takes half a second, once."""
    return library().session.Session()


def library() -> Any:
    """The library. Raises `ConfigError` where it is not installed."""
    try:
        import boto3
        import boto3.session
    except ImportError as error:
        raise ConfigError(
            "boto3, which the fixture of an s3 resource is an object of, can't be imported",
            cause=str(error),
            fix="pip install 'seatrial[s3]'",
        ) from error
    return boto3
