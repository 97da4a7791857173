"""A prefix as it was at a moment, over moto's S3 whose clock is the test's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core.backup import (
    Check,
    CopyState,
    CutoverEngine,
    CutoverState,
    EngineParts,
    RestorePoint,
    RestorePreview,
    RestoreTask,
)
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.integrations.aws.s3_versions import VERSIONS, S3VersionsEngine
from bot.integrations.aws.settings import S3VersionsSettings
from tests.fakes.aws import FakeAws, error
from tests.fakes.calls import Answer
from tests.integrations.aws.conftest import REGION, Admin
from tests.integrations.aws.virtual import VirtualClock

RUN, SWAP = "5f0e3d7ac1b2498d", "c0ffee00c1b2498d"
COPY = "restore-5f0e3d7a/"
Build = Callable[..., S3VersionsEngine]


def quiet(_: str) -> None:
    """No progress."""


class Shop:
    """The bucket, and what was done to it at which moment."""

    def __init__(self, admin: Admin, clock: VirtualClock) -> None:
        self._s3, self._clock = admin.s3, clock
        self._s3.create_bucket(Bucket="shop", CreateBucketConfiguration={"LocationConstraint": REGION})
        self.versioning("Enabled")

    def versioning(self, status: str) -> None:
        self._s3.put_bucket_versioning(Bucket="shop", VersioningConfiguration={"Status": status})

    def put(self, key: str, body: str, **more: str) -> None:
        self._s3.put_object(Bucket="shop", Key=key, Body=body.encode(), **more)

    def delete(self, key: str) -> None:
        self._s3.delete_object(Bucket="shop", Key=key)

    def later(self, minutes: int = 10) -> None:
        self._clock.pause(timedelta(minutes=minutes))

    def now(self, prefix: str) -> dict[str, str]:
        found = self._s3.list_objects_v2(Bucket="shop", Prefix=prefix).get("Contents", [])
        return {
            one["Key"].removeprefix(prefix): self._s3.get_object(Bucket="shop", Key=one["Key"])["Body"].read().decode()
            for one in found
        }

    def versions(self, prefix: str) -> int:
        found = self._s3.list_object_versions(Bucket="shop", Prefix=prefix)
        return len(found.get("Versions", [])) + len(found.get("DeleteMarkers", []))


@pytest.fixture
def shop(admin: Admin, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr("moto.s3.models.utcnow", lambda: clock.now().replace(tzinfo=None))
    return Shop(admin, clock)


@pytest.fixture
def build(aws: FakeAws, shop: Shop, clock: VirtualClock) -> Build:
    def built(**more: Any) -> S3VersionsEngine:
        given = {"bucket": "shop", "prefix": "orders/", "region": REGION, "endpoint_url": aws.url} | more
        return S3VersionsEngine(
            S3VersionsSettings.model_validate(given), EngineParts(store="shop", now=clock.now, pause=clock.pause)
        )

    return built


def task_of(preview: RestorePreview, run: str = RUN) -> RestoreTask:
    return RestoreTask(run=run, store="shop", point=RestorePoint(backup_id=VERSIONS), facts=preview.facts)


@pytest.fixture
def past(shop: Shop, clock: VirtualClock) -> RestorePoint:
    """The moment when it was good; then it was not any more."""
    shop.put("orders/changed", "good")
    shop.put("orders/deleted", "good")
    shop.put("orders/same", "good")
    shop.put("orders/reborn", "first")
    shop.put("other/1", "elsewhere")
    shop.later()
    shop.delete("orders/reborn")
    shop.later()
    point = RestorePoint(at=clock.at)
    shop.later()
    shop.put("orders/changed", "damaged!")
    shop.delete("orders/deleted")
    shop.put("orders/new", "made by the fault")
    shop.put("orders/reborn", "second")
    shop.later()
    return point


GOOD = {"changed": "good", "deleted": "good", "same": "good"}
BAD = {"changed": "damaged!", "same": "good", "new": "made by the fault", "reborn": "second"}


def test_it_can_cut_over(build: Build) -> None:
    assert isinstance(build(), CutoverEngine)


# -- the inventory --


def test_versions_are_one_backup_of_now_with_a_window(build: Build, past: RestorePoint, clock: VirtualClock) -> None:
    found = build(keep_days=14).inventory()

    assert [(one.id, one.data_at, one.problem) for one in found.backups] == [(VERSIONS, clock.at, "")]
    assert found.window is not None
    assert found.window.earliest == clock.at - timedelta(days=14)
    assert found.blockers == ()


def test_versioning_that_is_off_or_suspended_blocks_the_store(build: Build, shop: Shop, admin: Admin) -> None:
    shop.versioning("Suspended")
    assert "is suspended" in build().inventory().blockers[0]
    admin.s3.create_bucket(Bucket="plain", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert "is off: what is overwritten or deleted is gone" in build(bucket="plain").inventory().blockers[0]


@pytest.mark.parametrize(
    ("prefix", "status", "blocks"),
    [("orders/", "Enabled", True), ("", "Enabled", True), ("logs/", "Enabled", False), ("orders/", "Disabled", False)],
)
def test_a_lifecycle_that_removes_versions_within_the_window_blocks_the_store(
    build: Build, admin: Admin, prefix: str, status: str, *, blocks: bool
) -> None:
    rule = {
        "ID": "r", "Status": status, "Filter": {"Prefix": prefix}, "NoncurrentVersionExpiration": {"NoncurrentDays": 7}
    }  # fmt: skip
    admin.s3.put_bucket_lifecycle_configuration(Bucket="shop", LifecycleConfiguration={"Rules": [rule]})

    blockers = build().inventory().blockers

    assert bool(blockers) is blocks
    assert not blockers or "removes old versions after 7 days" in blockers[0]


def test_an_old_version_that_cannot_be_read_makes_it_unusable(
    build: Build, past: RestorePoint, aws: FakeAws, shop: Shop
) -> None:
    disabled = error("s3", "KMS.DisabledException", "The key is disabled.")
    aws.replace("s3", "GET /shop/orders/changed", disabled)
    assert "an old version of orders/changed cannot be read" in build().inventory().backups[0].problem

    aws.forget("s3", "GET /shop/orders/changed")
    shop.put("cold/1", "x", StorageClass="GLACIER")
    assert "cold/1 is in GLACIER" in build(prefix="cold/").inventory().backups[0].problem


def test_a_version_that_was_restored_from_glacier_for_some_days_can_be_copied(
    build: Build, shop: Shop, aws: FakeAws, clock: VirtualClock
) -> None:
    shop.put("orders/cold", "x", StorageClass="GLACIER")
    with pytest.raises(Rejected, match="orders/cold is in GLACIER"):
        build().preview(RestorePoint(at=clock.at), drill=False)
    restored = b"<RestoreStatus><IsRestoreInProgress>%s</IsRestoreInProgress>%s</RestoreStatus></Version>"
    until = b"<RestoreExpiryDate>2030-01-01T00:00:00.000Z</RestoreExpiryDate>"

    aws.amend("s3", "GET /shop", lambda body: body.replace(b"</Version>", restored % (b"true", b"")))
    with pytest.raises(Rejected, match="orders/cold is in GLACIER"):
        build().preview(RestorePoint(at=clock.at), drill=False)
    aws.amend("s3", "GET /shop", lambda body: body.replace(b"</Version>", restored % (b"false", until)))
    aws.replace("s3", "GET /shop/orders/cold", Answer(body=b"x"))

    assert "1 objects" in build().preview(RestorePoint(at=clock.at), drill=False).effect[0]


def test_the_plan_knows_when_the_lifecycle_takes_its_versions_away(
    build: Build, past: RestorePoint, admin: Admin
) -> None:
    rule = {"ID": "r", "Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 45}}
    assert build().preview(past, drill=False).expires_at is None
    admin.s3.put_bucket_lifecycle_configuration(Bucket="shop", LifecycleConfiguration={"Rules": [rule]})

    assert past.at is not None
    assert build().preview(past, drill=False).expires_at == past.at + timedelta(days=45)


# -- the restore --


def test_the_plan_tells_what_would_change_and_reads_alone(build: Build, past: RestorePoint, shop: Shop) -> None:
    before = shop.versions("")

    found = build().preview(past, drill=False)

    assert found.effect[0].startswith("copies the 3 objects that shop/orders/ had at ")
    assert found.moving[0] == "2 objects differ since, 2 did not exist then, 1 are as they were"
    assert found.moving[1] == "8 bytes to copy are in STANDARD"
    assert (
        found.moving[2]
        == "for example: copy orders/changed, copy orders/deleted, delete orders/new, delete orders/reborn"
    )
    assert shop.versions("") == before


def test_a_moment_in_the_future_or_before_the_window_is_refused(build: Build, clock: VirtualClock) -> None:
    with pytest.raises(Rejected, match="is in the future"):
        build().preview(RestorePoint(at=clock.at + timedelta(hours=1)), drill=False)
    with pytest.raises(Rejected, match="is before the window"):
        build().preview(RestorePoint(at=clock.at - timedelta(days=31)), drill=False)


def test_what_was_there_then_is_copied_beside_and_read_back(build: Build, past: RestorePoint, shop: Shop) -> None:
    engine = build()
    task = task_of(engine.preview(past, drill=False))
    engine.begin(task)
    engine.begin(task)

    found = build().look(task)
    assert (found.state, found.bytes_done, found.data_at) == (CopyState.RESTORED, 12, past.at)
    assert shop.now(COPY) == GOOD
    assert shop.now("orders/") == BAD
    assert shop.versions(COPY) == 3
    checks = [
        Check(name="objects", query="count", expect="3"),
        Check(name="newest", query="newest", newest_within=timedelta(hours=1)),
        Check(name="odd", query="SELECT 1", expect="1"),
    ]
    results = {one.name: one for one in build().verify(task, checks, quiet)}
    assert {name: one.ok for name, one in results.items()} == {
        "every object is there": True, "objects can be read": True, "objects": True, "newest": True, "odd": False,
    }  # fmt: skip


def test_a_copy_that_lost_gained_or_changed_an_object_is_damaged(build: Build, past: RestorePoint, shop: Shop) -> None:
    engine = build()
    task = task_of(engine.preview(past, drill=False))
    engine.begin(task)
    shop.delete(f"{COPY}changed")
    shop.put(f"{COPY}same", "g00d")
    shop.put(f"{COPY}zero", "")

    [all_there, *_] = engine.verify(task, (), quiet)

    assert not all_there.ok
    assert "is missing" in all_there.got
    assert f"{COPY}same has 4 bytes or another content" in all_there.got
    assert f"{COPY}zero did not exist then" in all_there.got


def with_a_key_of_kms(aws: FakeAws, admin: Admin, *buckets: str) -> None:
    """As S3 does, and moto does not: with a key of KMS an ETag is another one for each copy of the same bytes."""
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "key-1"}
    for bucket in buckets:
        admin.s3.put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": by_default}]},
        )
        aws.amend("s3", f"GET /{bucket}", _with_other_etags)


def _with_other_etags(listing: bytes) -> bytes:
    salt = b"versions" if b"ListVersionsResult" in listing else b"objects"

    def other(found: re.Match[bytes]) -> bytes:
        return hashlib.md5(salt + found.group()).hexdigest().encode()

    return re.sub(rb"(?<=&quot;)[0-9a-f]{32}(?=&quot;)|(?<=\")[0-9a-f]{32}(?=\")", other, listing)


def test_a_copy_whose_etags_are_no_checksums_is_whole_and_the_sample_is_compared_by_its_bytes(
    build: Build, shop: Shop, aws: FakeAws, admin: Admin, clock: VirtualClock
) -> None:
    with_a_key_of_kms(aws, admin, "shop")
    shop.put("orders/1", "good")
    engine = build()
    task = task_of(engine.preview(RestorePoint(at=clock.at), drill=False))
    engine.begin(task)

    there, read = engine.verify(task, (), quiet)
    assert (there.ok, read.ok) == (True, True), there.got
    assert there.got == "1 as they were (1 by size alone, as their ETags are no MD5); 0 not"

    shop.put(f"{COPY}1", "evil")
    there, read = engine.verify(task, (), quiet)
    assert not read.ok
    assert f"{COPY}1 gave 4 bytes or another content" in read.got


def test_a_plain_copy_of_versions_with_a_key_of_kms_is_whole_too(
    build: Build, shop: Shop, aws: FakeAws, admin: Admin, clock: VirtualClock
) -> None:
    admin.s3.create_bucket(Bucket="beside", CreateBucketConfiguration={"LocationConstraint": REGION})
    with_a_key_of_kms(aws, admin, "shop")
    shop.put("orders/1", "good")
    engine = build(copy_bucket="beside")
    task = task_of(engine.preview(RestorePoint(at=clock.at), drill=False))
    engine.begin(task)

    assert [one.ok for one in engine.verify(task, (), quiet)] == [True, True]


def test_a_copy_that_is_refused_half_way_says_after_which_key(
    build: Build, past: RestorePoint, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.integrations.aws.s3_apply._BATCH", 1)
    engine = build()
    task = task_of(engine.preview(past, drill=False))
    aws.replace("s3", f"PUT /shop/{COPY}deleted", error("s3", "InternalError", status=500))
    with pytest.raises(OutcomeUnknown, match="Stopped after the key 'orders/changed'"):
        engine.begin(task)
    found = build().look(task)
    assert (found.state, found.bytes_done) == (CopyState.FAILED, 4)


def test_a_process_that_was_killed_is_followed_by_one_that_goes_on(
    build: Build, past: RestorePoint, shop: Shop, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    monkeypatch.setattr("bot.integrations.aws.s3_apply._BATCH", 1)
    engine = build()
    task = task_of(engine.preview(past, drill=False))
    put, beats = engine._manifests.put, []

    def killed_at_the_second(*told: Any) -> Any:
        beats.append(told)
        if len(beats) == 2:
            raise Killed
        return put(*told)

    monkeypatch.setattr(engine._manifests, "put", killed_at_the_second)
    with pytest.raises(Killed):
        engine.begin(task)
    assert build().look(task).state is CopyState.RUNNING
    build().begin(task)  # Somebody works on it, for all that is known.
    assert build().look(task).state is CopyState.RUNNING

    clock.pause(timedelta(minutes=11))
    assert "nobody has copied since" in build().look(task).message
    build().begin(task)

    assert build().look(task).state is CopyState.RESTORED
    assert build().look(task).bytes_done == 12
    assert shop.now(COPY) == GOOD
    assert shop.versions(f"{COPY}changed") == 1


def test_s3_that_slows_down_whoever_begins_fast_is_waited_for(
    build: Build, past: RestorePoint, shop: Shop, aws: FakeAws
) -> None:
    asked: list[object] = []

    def slow(told: object) -> Answer | None:
        asked.append(told)
        return error("s3", "SlowDown", "Please reduce your request rate.", status=503) if len(asked) <= 6 else None

    engine = build()
    task = task_of(engine.preview(past, drill=False))
    aws.replace("s3", f"PUT /shop/{COPY}deleted", slow)

    engine.begin(task)

    assert engine.look(task).state is CopyState.RESTORED
    assert shop.now(COPY) == GOOD


def test_a_batch_that_takes_longer_than_a_dead_process_is_waited_for_shows_that_it_lives(
    build: Build, past: RestorePoint, aws: FakeAws, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.integrations.aws.s3_apply._THREADS", 1)
    seen: list[CopyState] = []

    def eight_minutes(_: object) -> None:
        seen.append(build().look(task).state)
        clock.pause(timedelta(minutes=8))

    engine = build()
    task = task_of(engine.preview(past, drill=False))
    for key in GOOD:
        aws.replace("s3", f"PUT /shop/{COPY}{key}", eight_minutes)

    engine.begin(task)

    assert seen == [CopyState.RUNNING] * 3


def test_an_object_of_more_than_5_gb_is_copied_in_parts(
    build: Build, shop: Shop, admin: Admin, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.integrations.aws.s3_apply._MOST_COPIED", 6 * 1024**2)
    monkeypatch.setattr("bot.integrations.aws.s3_apply._PART", 5 * 1024**2)
    body = "x" * (11 * 1024**2)
    shop.put("orders/large", body, ContentType="text/csv", ContentDisposition="attachment")
    engine = build()
    task = task_of(engine.preview(RestorePoint(at=clock.at), drill=False))

    engine.begin(task)

    assert shop.now(COPY) == {"large": body}
    assert admin.s3.head_object(Bucket="shop", Key=f"{COPY}large")["ContentDisposition"] == "attachment"
    assert all(one.ok for one in engine.verify(task, (), quiet))


def test_a_copy_is_removed_with_all_its_versions_and_nothing_else(build: Build, past: RestorePoint, shop: Shop) -> None:
    engine = build()
    engine.begin(task_of(engine.preview(past, drill=False)))
    before = shop.versions("orders/")
    [copy] = engine.copies()
    assert (copy.run, copy.name, copy.drill) == (RUN, f"shop/{COPY}", False)
    with pytest.raises(Rejected, match="Nothing was removed"):
        engine.remove(replace(copy, name="shop/orders/"))

    engine.remove(copy)
    engine.remove(copy)

    assert shop.versions(COPY) == 0
    assert shop.versions("orders/") == before
    assert engine.copies() == []


def test_a_drill_is_refused_where_its_objects_would_set_something_off(
    build: Build, past: RestorePoint, admin: Admin
) -> None:
    rule = {"TopicArn": f"arn:aws:sns:{REGION}:123456789012:made", "Events": ["s3:ObjectCreated:*"]}
    admin.sns.create_topic(Name="made")
    admin.s3.put_bucket_notification_configuration(
        Bucket="shop", NotificationConfiguration={"TopicConfigurations": [rule]}
    )

    with pytest.raises(Rejected, match="would be told of each object of the copy"):
        build().preview(past, drill=True)


# -- the cutover --


def test_the_prefix_is_brought_back_with_its_history_and_forth_again(
    build: Build, past: RestorePoint, shop: Shop, clock: VirtualClock
) -> None:
    engine = build()
    task = task_of(engine.preview(past, drill=False))
    engine.begin(task)
    before = shop.versions("orders/")
    assert engine.look_cutover(task, SWAP).state is CutoverState.OLD
    assert "no version is removed" in engine.preview_cutover(task).effect[0]

    engine.cut_over(task, SWAP, quiet)

    assert shop.now("orders/") == GOOD
    assert shop.versions("orders/") == before + 4
    assert shop.now("other/") == {"1": "elsewhere"}
    assert engine.look_cutover(task, SWAP).state is CutoverState.NEW
    engine.cut_over(task, SWAP, quiet)
    assert shop.versions("orders/") == before + 4

    shop.later()
    assert engine.undo_refusal(task, SWAP) == ""
    engine.undo_cutover(task, SWAP, quiet)
    assert shop.now("orders/") == BAD
    assert engine.look_cutover(task, SWAP).state is CutoverState.OLD


def test_a_cutover_that_stopped_half_way_says_where_and_goes_on(
    build: Build, past: RestorePoint, shop: Shop, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.integrations.aws.s3_apply._BATCH", 1)
    engine = build()
    task = task_of(engine.preview(past, drill=False))
    engine.begin(task)
    aws.replace("s3", "DELETE /shop/orders/new", error("s3", "AccessDenied", "Access Denied", status=403))

    with pytest.raises(OutcomeUnknown, match=r"Stopped after the key 'orders/deleted'.*Allow the bot s3:DeleteObject"):
        engine.cut_over(task, SWAP, quiet)
    found = build().look_cutover(task, SWAP)
    assert found.state is CutoverState.PARTIAL
    assert "the keys up to 'orders/deleted' are as they were" in found.message

    aws.forget("s3", "DELETE /shop/orders/new")
    build().cut_over(task, SWAP, quiet)
    assert shop.now("orders/") == GOOD


def test_nothing_is_changed_in_a_bucket_that_would_not_keep_it(build: Build, past: RestorePoint, shop: Shop) -> None:
    engine = build()
    task = task_of(engine.preview(past, drill=False))
    engine.begin(task)
    shop.versioning("Suspended")

    with pytest.raises(Conflict, match=r"is suspended.*Nothing was done"):
        engine.cut_over(task, SWAP, quiet)

    assert shop.now("orders/") == BAD


def test_an_undo_goes_back_by_the_clock_of_s3_also_after_a_crash_before_the_first_change(
    build: Build, past: RestorePoint, shop: Shop, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot's clock is an hour ahead, and its first process dies right after it has said that it begins."""

    class Killed(BaseException):
        pass

    engine = build()
    task = task_of(engine.preview(past, drill=False))
    engine.begin(task)
    ahead = EngineParts(store="shop", now=lambda: clock.now() + timedelta(hours=1), pause=clock.pause)
    dies, goes_on = S3VersionsEngine(engine._where, ahead), S3VersionsEngine(engine._where, ahead)

    def killed(*_: object) -> Any:
        raise Killed

    monkeypatch.setattr(dies._manifests, "stored_at", killed)
    with pytest.raises(Killed):
        dies.cut_over(task, SWAP, quiet)
    assert build().look_cutover(task, SWAP).state is CutoverState.OLD

    goes_on.cut_over(task, SWAP, quiet)
    assert shop.now("orders/") == GOOD
    shop.later()
    goes_on.undo_cutover(task, SWAP, quiet)

    assert shop.now("orders/") == BAD
