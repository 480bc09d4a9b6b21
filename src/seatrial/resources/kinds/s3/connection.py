"""Clients of boto3's for our own work: no retries that hide an answer, no file of the user's that changes them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from seatrial.core import wait
from seatrial.core.ports import LOOPBACK
from seatrial.core.redact import redact
from seatrial.errors import ConfigError, ServerLost
from seatrial.resources.protocol import Address

if TYPE_CHECKING:
    from seatrial.resources.protocol import Endpoint

REGION = "us-east-1"


def resource(address: Address, made_of: Any, *, patience: float = 30) -> Any:
    """A `boto3` resource of the server at this address; its requests are signed by a clock that no test can freeze."""
    from botocore.config import Config

    port = f":{address.port}" if address.port else ""
    made = made_of.resource(
        "s3",
        region_name=REGION,
        aws_access_key_id=address.user,
        aws_secret_access_key=address.password,
        endpoint_url=f"{address.scheme}://{address.host}{port}",
        config=Config(
            retries={"max_attempts": 0},
            connect_timeout=5,
            read_timeout=patience,
            s3={"addressing_style": "path"},
            proxies={} if address.host in LOOPBACK else None,  # None: those of the environment
        ),
    )
    _sign_by_the_real_clock(made.meta.client, address)
    return made


def client(endpoint: Endpoint, made_of: Any) -> Any:
    """A client for the work of a run. It raises `ServerLost` where the server does not answer."""
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError

    admin = endpoint.admin
    made = resource(admin, made_of).meta.client

    def answered(caught_exception: Exception | None = None, **_: Any) -> None:
        if isinstance(caught_exception, (NoConnection, HTTPClientError)):
            raise ServerLost(
                f"the {endpoint.kind} server at {admin.host}:{admin.port} does not answer",
                cause=redact(str(caught_exception), admin.password),
                fix="see its log: a test may have ended it",
            ) from caught_exception

    made.meta.events.register_first("needs-retry.s3", answered)
    return made


def _sign_by_the_real_clock(made: Any, address: Address) -> None:
    """A server refuses what was signed a quarter of an hour ago, and botocore takes the time from `datetime`."""
    from botocore import UNSIGNED
    from botocore.auth import SIGV4_TIMESTAMP, S3SigV4Auth
    from botocore.credentials import Credentials

    class Now(S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
        def add_auth(self, request: Any) -> None:
            """As botocore's own, but for the time."""
            request.context["timestamp"] = time.strftime(SIGV4_TIMESTAMP, time.gmtime(wait.date()))
            self._modify_request_before_signing(request)
            text = self.string_to_sign(request, self.canonical_request(request))
            self._inject_signature_to_request(request, self.signature(text, request))

    def by_us(signature_version: Any, **_: Any) -> Any:
        """What is signed for others to use later is left to botocore."""
        presigned = isinstance(signature_version, str) and signature_version.endswith(("-query", "-presign-post"))
        return None if presigned else UNSIGNED

    def sign(request: Any, signature_version: Any, signing_name: str, region_name: str, **_: Any) -> None:
        if signature_version is UNSIGNED:
            Now(Credentials(address.user, address.password), signing_name, region_name).add_auth(request)

    made.meta.events.register_first("choose-signer.s3", by_us)
    made.meta.events.register_last("before-sign.s3", sign)


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
