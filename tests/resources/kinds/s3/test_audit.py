"""The audit of S3 reads every object by itself, and names whatever is not as it was."""

from __future__ import annotations

import ast
import inspect

import pytest

from seatrial.errors import IsolationError
from seatrial.resources.kinds.s3 import S3
from seatrial.resources.kinds.s3 import audit as reading

TOLD = {"Key": "told", "Body": b"{}", "ContentType": "application/json", "Metadata": {"by": "us"}, "Tagging": "a=1"}
UNDONE = {
    "an object too many": (lambda b: b.put_object(Key="new", Body=b"x"), ("object", "new")),
    "an object gone": (lambda b: b.Object("plain").delete(), ("object", "plain")),
    "another content": (lambda b: b.put_object(Key="plain", Body=b"PLAIN"), ("object", "plain")),
    "other metadata": (
        lambda b: b.put_object(Key="told", Body=b"{}", ContentType="application/json", Metadata={"by": "them"}),
        ("object", "told"),
    ),
    "another class of storage": (lambda b: b.put_object(**TOLD, StorageClass="REDUCED_REDUNDANCY"), ("object", "told")),
    "a time when it expires": (lambda b: b.put_object(**TOLD, Expires="2030-01-01T00:00:00Z"), ("object", "told")),
    "keys that XML has no word for": (
        lambda b: [b.put_object(Key=f"odd{letter}key", Body=b"x") for letter in "\x01\r\ufffe/<"],
        ("object", "odd\x01key"),
    ),
    "an upload that is not complete": (lambda b: b.Object("big").initiate_multipart_upload(), ("upload", "big")),
}
NOT_UNDONE = {
    "the tags of an object": (
        lambda b: b.meta.client.put_object_tagging(
            Bucket=b.name, Key="told", Tagging={"TagSet": [{"Key": "a", "Value": "2"}]}
        ),
        ("object", "told"),
    ),
    "who may read an object": (
        lambda b: b.meta.client.put_object_acl(Bucket=b.name, Key="told", ACL="public-read"),
        ("object", "told"),
    ),
    "versioning": (lambda b: b.Versioning().enable(), ("setting", "versioning")),
    "rules for browsers": (
        lambda b: b.Cors().put(CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}),
        ("setting", "cors"),
    ),
    "tags of the bucket": (
        lambda b: b.Tagging().put(Tagging={"TagSet": [{"Key": "a", "Value": "1"}]}),
        ("setting", "tags"),
    ),
}


@pytest.fixture
def audit(server, copy):
    return S3().auditor(server.endpoint, copy.address, alone=True)


def found(audit, baseline):
    return {(one.kind, one.name) for one in audit.differences(baseline)}


@pytest.mark.parametrize("what", UNDONE)
def test_each_change_is_named_and_gone_after_the_undo(copy, audit, what):
    change, expected = UNDONE[what]
    baseline = audit.baseline()
    assert audit.differences(baseline) == ()
    change(copy.client().value)
    assert expected in found(audit, baseline)
    copy.undo()
    assert audit.differences(baseline) == ()


@pytest.mark.parametrize("what", NOT_UNDONE)
def test_what_a_reset_does_not_undo_is_named_and_gone_after_a_clone(copy, audit, what):
    change, expected = NOT_UNDONE[what]
    baseline = audit.baseline()
    change(copy.client().value)
    copy.undo()
    assert expected in found(audit, baseline)
    copy.renew()
    assert audit.differences(baseline) == ()


def test_a_bucket_of_the_test_s_own_is_named(copy, audit):
    client, baseline = copy.client().value.meta.client, audit.baseline()
    client.create_bucket(Bucket="a-stranger")
    assert [str(one) for one in audit.differences(baseline)] == ["bucket a-stranger: is new"]
    client.delete_bucket(Bucket="a-stranger")


def test_buckets_of_another_run_are_no_difference(copy, audit, store):
    baseline = audit.baseline()
    store.checkout("key", "another")
    assert audit.differences(baseline) == ()
    store.drop("another")


def test_a_bucket_that_is_gone_is_told(copy, audit):
    baseline = audit.baseline()
    copy.client().value.meta.client.delete_bucket(Bucket=copy.address.database)
    with pytest.raises(IsolationError, match="could not read the bucket"):
        audit.differences(baseline)


def test_the_audit_shares_nothing_with_the_undo():
    tree = ast.parse(inspect.getsource(reading))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {module for module in imported if module and module.startswith("seatrial.resources.kinds")}
    assert ours == {"seatrial.resources.kinds.s3.connection", "seatrial.resources.kinds.s3.notes"}
