"""Files in a bucket, over moto's S3: fetched whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.aws.objects import Objects
from bot.integrations.aws.settings import BucketSettings
from tests.fakes.aws import FakeAws, error
from tests.fakes.calls import Answer
from tests.integrations.aws.conftest import Admin


@pytest.fixture
def dumps(aws: FakeAws, admin: Admin) -> Objects:
    admin.s3.create_bucket(Bucket="dumps", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return Objects(BucketSettings(bucket="dumps", prefix="orders/", endpoint_url=aws.url, region="eu-west-1"))


def test_what_is_under_the_prefix_is_listed_and_nothing_else(dumps: Objects, admin: Admin) -> None:
    for key in ("orders/1.dump", "orders/2.dump", "other/3.dump"):
        admin.s3.put_object(Bucket="dumps", Key=key, Body=b"x" * 10)

    assert [(one.key, one.size) for one in dumps.list_all()] == [("orders/1.dump", 10), ("orders/2.dump", 10)]
    assert [one.key for one in dumps.list_all("2")] == ["orders/2.dump"]


def test_a_file_comes_back_as_it_was_put(dumps: Objects, tmp_path: Path) -> None:
    body = os.urandom(3 * 1024 * 1024 + 17)
    (tmp_path / "in").write_bytes(body)
    dumps.put_file("orders/a.dump", tmp_path / "in")
    dumps.put_bytes("orders/b.md", b"plan")
    [stored, plan] = dumps.list_all()

    dumps.fetch(stored, tmp_path / "out")
    dumps.fetch(plan, tmp_path / "plan")

    assert (tmp_path / "out").read_bytes() == body
    assert (tmp_path / "plan").read_bytes() == b"plan"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in", "out", "plan"]


def test_a_large_file_goes_in_parts_and_a_part_that_fails_leaves_none_behind(
    dumps: Objects, aws: FakeAws, admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.integrations.aws.objects._PART", 5 * 1024 * 1024)
    body = os.urandom(11 * 1024 * 1024)
    (tmp_path / "in").write_bytes(body)
    dumps.put_file("orders/a.dump", tmp_path / "in")
    [stored] = dumps.list_all()
    dumps.fetch(stored, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == body
    assert stored.etag.endswith("-3")

    aws.replace(
        "s3",
        "PUT /dumps/orders/b.dump",
        lambda told: error("s3", "SlowDown", status=503) if told["partNumber"] == "2" else None,
    )
    with pytest.raises(Rejected, match=r"The upload of orders/b\.dump was given up"):
        dumps.put_file("orders/b.dump", tmp_path / "in")

    assert [one.key for one in dumps.list_all()] == ["orders/a.dump"]
    assert "Uploads" not in admin.s3.list_multipart_uploads(Bucket="dumps")


def test_an_object_that_was_replaced_since_it_was_listed_is_not_fetched(
    dumps: Objects, admin: Admin, tmp_path: Path
) -> None:
    admin.s3.put_object(Bucket="dumps", Key="orders/a.dump", Body=b"old")
    [stored] = dumps.list_all()
    admin.s3.put_object(Bucket="dumps", Key="orders/a.dump", Body=b"new")

    with pytest.raises(Rejected, match="PreconditionFailed"):
        dumps.fetch(stored, tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sent", [b"0123456789"[:6], b"01234X6789"])
def test_bytes_that_are_fewer_or_others_than_were_stored_leave_no_file(
    dumps: Objects, aws: FakeAws, admin: Admin, tmp_path: Path, sent: bytes
) -> None:
    admin.s3.put_object(Bucket="dumps", Key="orders/a.dump", Body=b"0123456789")
    [stored] = dumps.list_all()
    aws.replace("s3", "GET /dumps/orders/a.dump", Answer(body=sent, headers={"ETag": f'"{stored.etag}"'}))

    with pytest.raises(Rejected, match="did not come whole"):
        dumps.fetch(stored, tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


def test_a_download_that_is_cut_off_says_so(dumps: Objects, aws: FakeAws, admin: Admin, tmp_path: Path) -> None:
    admin.s3.put_object(Bucket="dumps", Key="orders/a.dump", Body=b"0123456789")
    [stored] = dumps.list_all()

    def pieces() -> Iterator[bytes]:
        yield b"0123"
        raise ConnectionError

    aws.replace("s3", "GET /dumps/orders/a.dump", lambda _: Answer(pieces=pieces()))

    with pytest.raises(Rejected, match="cut off while it was fetched"):
        dumps.fetch(stored, tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


def test_a_full_or_missing_folder_is_told(dumps: Objects, admin: Admin, tmp_path: Path) -> None:
    admin.s3.put_object(Bucket="dumps", Key="orders/a.dump", Body=b"0123456789")
    [stored] = dumps.list_all()

    with pytest.raises(Rejected, match="No such file or directory"):
        dumps.fetch(stored, tmp_path / "gone" / "out")


def test_a_right_that_is_missing_is_named(dumps: Objects, aws: FakeAws) -> None:
    aws.replace("s3", "GET /dumps", error("s3", "AccessDenied", "Access Denied", status=403))

    with pytest.raises(Rejected, match="Allow the bot s3:ListBucket"):
        list(dumps.list_all())


def test_a_put_without_an_answer_is_sent_once_and_unknown(dumps: Objects, aws: FakeAws) -> None:
    aws.answer_next(reset=True)

    with pytest.raises(OutcomeUnknown):
        dumps.put_bytes("orders/a", b"x")

    assert len(aws.received) == 1


def test_a_listing_that_is_throttled_is_asked_for_again(dumps: Objects, aws: FakeAws) -> None:
    aws.answer_next(status=503, body=b"<Error><Code>SlowDown</Code></Error>")

    assert list(dumps.list_all()) == []
    assert len(aws.received) == 2


def test_nobody_at_that_address_is_told_and_what_to_check(dumps: Objects, aws: FakeAws) -> None:
    nobody = Objects(BucketSettings(bucket="dumps", endpoint_url="http://127.0.0.1:9", region="eu-west-1"))

    with pytest.raises(Rejected, match=r"was not asked for s3:PutObject.*Check region, endpoint_url"):
        nobody.put_bytes("a", b"x")
