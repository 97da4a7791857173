"""A checkpoint in a bucket: asked for as S3 wants it, locked, and every refusal is a failure that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.app.build import build_bucket_writer
from bot.audit import anchors
from bot.config.audit import S3AnchorSettings
from bot.core.errors import Rejected
from tests.fakes.calls import Answer, Call
from tests.fakes.server import StrictServer


class Bucket(StrictServer):
    """PutObject of S3, with path-style addresses, on a bucket that has Object Lock."""

    def answer(self, call: Call) -> Answer:
        if call.verb != "PUT" or not call.path.startswith("/example-audit/"):
            self.fault(f"{call.verb} {call.path} was not expected")
        if "Credential=AKIDEXAMPLE/" not in call.headers.get("authorization", ""):
            self.fault("the request is not signed with the credentials of the environment")
        if not any(name in call.headers for name in ("content-md5", "x-amz-checksum-crc32", "x-amz-trailer")):
            self.fault("S3 takes no object under lock without a checksum of it")
        return Answer(headers={"x-amz-version-id": "v1", "ETag": '"abc"'})


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-own-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with Bucket() as fake:
        yield fake


def to(bucket: Bucket, retained: timedelta | None) -> anchors.PutAnchor:
    section = S3AnchorSettings(bucket="example-audit", region="eu-central-1", endpoint_url=bucket.url)
    return anchors.to_bucket(build_bucket_writer(section), section.bucket, "vakhta/", retained=retained)


def test_a_checkpoint_is_locked_into_the_bucket_for_as_long_as_is_set(bucket: Bucket) -> None:
    receipt = to(bucket, timedelta(days=400))(7, b"root", "the note — signed\n")

    (call,) = bucket.received
    until = datetime.fromisoformat(call.headers["x-amz-object-lock-retain-until-date"])
    assert call.path == "/example-audit/vakhta/7.note"
    assert "the note — signed\n".encode() in call.body
    assert call.headers["x-amz-object-lock-mode"] == "COMPLIANCE"
    assert timedelta(days=399) < until - datetime.now(UTC) < timedelta(days=401)
    assert receipt == "s3://example-audit/vakhta/7.note v1"


def test_without_a_time_the_buckets_own_retention_counts(bucket: Bucket) -> None:
    to(bucket, None)(7, b"root", "note")

    assert "x-amz-object-lock-mode" not in bucket.received[0].headers


def test_a_bucket_that_refuses_is_a_failure_that_says_why(bucket: Bucket) -> None:
    bucket.answer_next(status=403, body=b"<Error><Code>AccessDenied</Code></Error>")

    with pytest.raises(Rejected, match=r"AccessDenied for example-audit/vakhta/7\.note; check the bucket"):
        to(bucket, None)(7, b"root", "note")


def test_a_bucket_that_does_not_answer_is_a_failure(bucket: Bucket) -> None:
    bucket.answer_next(reset=True, times=4)

    with pytest.raises(Rejected, match="S3 was not reached"):
        to(bucket, None)(7, b"root", "note")


def test_a_file_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="was not written: No such file"):
        anchors.to_file(tmp_path / "none" / "anchors")(7, b"root", "note")


def test_the_receipt_of_a_file_is_where_the_line_begins(tmp_path: Path) -> None:
    put = anchors.to_file(tmp_path / "anchors")

    receipts = [put(size, b"root", "note") for size in (1, 2)]

    places = [int(receipt.rpartition("@")[2]) for receipt in receipts]
    lines = (tmp_path / "anchors").read_bytes()
    assert [lines[place:].split(b" ")[0] for place in places] == [b"1", b"2"]
