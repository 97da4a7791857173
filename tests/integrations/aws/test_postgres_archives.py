"""Archives of pg_dump in a bucket: fetched to be judged and restored, and put there only when they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.backup import CopyState
from bot.core.errors import Rejected
from bot.integrations.postgres.databases import copy_name
from tests.fakes.aws import FakeAws
from tests.integrations.aws.conftest import REGION, Admin
from tests.integrations.postgres.shop import Shop, opened
from tests.postgres import Postgres
from tests.running import until

pytestmark = [pytest.mark.postgres, pytest.mark.waits]


@pytest.fixture
def shop(postgres: Postgres, tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "here").mkdir()
    with opened(postgres, tmp_path / "here") as made:
        yield made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    place = tmp_path / "fetched"
    place.mkdir()
    return place


@pytest.fixture
def settings(aws: FakeAws, admin: Admin, cache: Path) -> dict[str, Any]:
    admin.s3.create_bucket(Bucket="archives", CreateBucketConfiguration={"LocationConstraint": REGION})
    bucket = {"bucket": "archives", "prefix": "orders/", "endpoint_url": aws.url, "region": REGION}
    return {"folder": str(cache), "bucket": bucket}


@pytest.fixture(autouse=True)
def _at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket dates its objects itself: these were put there just now."""
    monkeypatch.setattr("bot.integrations.postgres.archives.RESTS_AFTER", timedelta(days=-1))


def _put(admin: Admin, shop: Shop, name: str, *, cut: int = 0) -> None:
    path = shop.dump(name)
    if cut:
        os.truncate(path, path.stat().st_size - cut)
    admin.s3.put_object(Bucket="archives", Key=f"orders/{name}", Body=path.read_bytes())


def test_archives_of_a_bucket_are_judged_by_reading_them(
    shop: Shop, admin: Admin, settings: dict[str, Any], cache: Path
) -> None:
    for name, cut in (("a.dump", 0), ("b.dump", 3000), ("c.dump", 0)):
        _put(admin, shop, name, cut=cut)
    admin.s3.put_object(Bucket="archives", Key="orders/deeper/x.dump", Body=b"x")
    admin.s3.put_object(Bucket="archives", Key="orders/empty.dump", Body=b"")

    found = {one.id: one.problem for one in shop.engine(**settings).inventory().backups}

    assert (found["a.dump"], found["c.dump"], found["empty.dump"]) == ("", "", "it is empty")
    assert "it cannot be read to its end" in found["b.dump"]
    assert set(found) == {"a.dump", "b.dump", "c.dump", "empty.dump"}
    assert len(list(cache.iterdir())) <= 2


@pytest.mark.slow
def test_a_copy_is_restored_from_a_bucket_and_its_archive_is_dropped_afterwards(
    shop: Shop, admin: Admin, settings: dict[str, Any], cache: Path
) -> None:
    _put(admin, shop, "a.dump")
    engine = shop.engine(**settings)
    task = shop.task(engine)

    status = shop.restored(engine, task)
    checks = engine.verify(task, [], lambda _: None)

    assert status.state is CopyState.RESTORED
    assert shop.checksum(copy_name(shop.database, task.run, drill=False)) == shop.checksum()
    assert [one for one in checks if not one.ok] == []
    assert not list(cache.glob(".restore-*"))


@pytest.mark.slow
def test_a_backup_is_put_into_the_bucket_and_counts_after_it_was_read_from_there(
    shop: Shop, admin: Admin, settings: dict[str, Any], cache: Path
) -> None:
    engine, run = shop.engine(**settings), "5afe" * 8
    engine.begin_backup(run)
    until(lambda: engine.look_backup(run).state is not CopyState.RUNNING, "the backup ended", within_s=60)

    made = engine.look_backup(run)

    keys = [one["Key"] for one in admin.s3.list_objects_v2(Bucket="archives")["Contents"]]
    assert (made.state, keys) == (CopyState.RESTORED, [f"orders/{made.message}"])
    assert not list(cache.glob("*.part"))
    assert [one.usable for one in engine.inventory().backups] == [True]


def test_a_bucket_that_is_gone_is_unknown_and_never_empty(shop: Shop, admin: Admin, settings: dict[str, Any]) -> None:
    bucket = {**settings["bucket"], "bucket": "no-such-bucket"}

    with pytest.raises(Rejected, match="NoSuchBucket"):
        shop.engine(**{**settings, "bucket": bucket}).inventory()
