"""Drills of a real PostgreSQL from real archives of pg_dump: what they prove, and what they find."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.backups import drill, drill_plan
from bot.backups.drill import write_sentinel
from bot.core.action import Tools
from bot.core.backup import BackupStore, Check, Drill, DrillResult, DrillRules
from bot.lib import failpoints
from bot.store.backup_rows import StoredBackupRecords
from bot.store.engine import Store
from tests.backups.drill_ground import RUN, DrillBackups
from tests.integrations.postgres.shop import Shop, opened
from tests.postgres import Postgres

pytestmark = [pytest.mark.postgres, pytest.mark.waits]

HOUR = timedelta(hours=1)


@dataclass
class ShopDrills:
    """The shop as a store of the settings. `later`: how far the bot's clock is ahead of the shop's."""

    shop: Shop
    records: StoredBackupRecords
    later: timedelta = field(default=timedelta(0))

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    def store(self) -> BackupStore:
        return BackupStore(
            name="shop",
            service="",
            engine=self.shop.engine(),
            engine_name="postgres",
            rpo=HOUR,
            rto=HOUR,
            checks=(Check(name="orders", query="SELECT count(*) FROM orders", expect="500"),),
            drill=DrillRules(at_most=10 * timedelta(minutes=1)),
        )

    def tools(self) -> Tools:
        return Tools(
            now=self.now,
            poll_interval=timedelta(milliseconds=50),
            pause=lambda much: time.sleep(much.total_seconds()),
            backups=DrillBackups(stores={"shop": self.store()}, records=self.records),
        )

    def drill(self) -> Drill:
        tools = self.tools()
        drill.run("shop", drill_plan.plan("shop", tools), RUN, tools)
        return self.row()

    def copies(self) -> list[str]:
        return [name for name in self.shop.databases() if RUN[:8] in name]

    def row(self) -> Drill:
        (row,) = self.records.list_drills("shop")
        return row


@pytest.fixture
def drills(postgres: Postgres, sqlite_template: Path, tmp_path: Path) -> Iterator[ShopDrills]:
    shutil.copy(sqlite_template, tmp_path / "vakhta.db")
    store = Store(f"sqlite:///{tmp_path}/vakhta.db")
    folder = tmp_path / "archives"
    folder.mkdir()
    with opened(postgres, folder) as shop:
        yield ShopDrills(shop, StoredBackupRecords(store))
    store.close()


def test_the_newest_archive_is_restored_checked_and_nothing_of_it_stays(drills: ShopDrills) -> None:
    shop = drills.shop
    shop.dump("old.dump", minutes_ago=90)
    shop.dump("new.dump")
    before = shop.databases()

    row = drills.drill()

    assert (row.result, row.message) == (DrillResult.PASSED, "")
    assert row.backup_id == "new.dump"
    assert {"orders", "every table of the archive is there"} <= {one.name for one in row.checks}
    assert {one.name for one in row.phases} == {"restore", "verify", "hydrate", "teardown"}
    assert row.rto is not None
    assert timedelta(0) < row.rto < HOUR
    assert shop.databases() == before
    assert shop.count() == 500


def test_a_sentinel_goes_through_dump_and_restore(drills: ShopDrills) -> None:
    drills.later = -HOUR
    write_sentinel(drills.store(), drills.records, "t1", drills.now)
    drills.later = timedelta(0)
    drills.shop.dump()

    row = drills.drill()

    assert (row.result, row.sentinel, row.checks[-1].ok) == (DrillResult.PASSED, "t1", True)


def test_a_dump_that_leaves_something_out_loses_the_sentinel_and_fails_the_drill(drills: ShopDrills) -> None:
    drills.later = -HOUR
    write_sentinel(drills.store(), drills.records, "t1", drills.now)
    drills.later = timedelta(0)
    drills.shop.dump("shop.dump", "-Fc", "--exclude-schema=vakhta")

    row = drills.drill()

    assert row.result is DrillResult.FAILED
    assert "lost: no token at all" in row.message


def test_rows_that_are_missing_in_the_archive_are_damage(drills: ShopDrills) -> None:
    with drills.shop.connect() as live:
        live.change("DELETE FROM orders WHERE id > 490")
    drills.shop.dump()

    row = drills.drill()

    assert row.result is DrillResult.DAMAGED
    assert "orders: expected 500, got 490." in row.message
    assert drills.copies() == []


#: Not `drill.asking`: that nothing was begun is known after some minutes only, which `test_drill` lets pass.
_KILLED_AT = ["drill.stored", "drill.restored", "drill.checked", "drill.judged", "drill.removed"]


@pytest.mark.slow
@pytest.mark.parametrize("place", _KILLED_AT)
def test_a_process_that_is_killed_leaves_one_copy_at_most_and_the_next_one_none(
    drills: ShopDrills, tmp_path: Path, place: str
) -> None:
    drills.shop.dump()
    argv = [sys.executable, "-m", __spec__.name, str(tmp_path), drills.shop.url, f"{place}=kill"]
    ended = subprocess.run(argv, check=False, capture_output=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert len(drills.copies()) <= 1

    drill.probe("shop", RUN, drills.tools())

    row = drills.row()
    assert drills.copies() == []
    assert row.finished_at is not None
    assert row.result is (DrillResult.MISSED if place == "drill.stored" else DrillResult.PASSED)


def _die(folder: Path, url: str, armed: str) -> None:
    """A process of its own, which is killed on its way."""
    failpoints.arm(armed)
    store = Store(f"sqlite:///{folder}/vakhta.db")
    ShopDrills(Shop(url=url, folder=folder / "archives"), StoredBackupRecords(store)).drill()


if __name__ == "__main__":
    _die(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
