"""Stores of backups for the board: one that is well, one that is red, one that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.core.backup import (
    Backup,
    BackupRecords,
    Backups,
    BackupStore,
    CheckResult,
    Continuity,
    Drill,
    DrillResult,
    DrillRules,
    Inventory,
    StoreLook,
)
from bot.store.backup_rows import StoredBackupRecords
from bot.store.engine import Store
from tests.fakes.backup_engine import BackupWorld, FakeBackupEngine
from tests.house import Clock


@dataclass(frozen=True)
class ShownStores:
    """Implements `core.backup.Backups`."""

    stores: Mapping[str, BackupStore]
    records: BackupRecords


def shown_stores(store: Store) -> Backups:
    now = datetime.now(UTC)
    records = StoredBackupRecords(store)
    names = ("prod/orders-db", "prod/sessions", "prod/events <b>bold</b>")
    for name in names:
        _look(records, name, now)
    for week in range(1, 9):
        records.put_drill(_drill(names[0], now - timedelta(days=7 * week), week))
    records.put_drill(
        Drill(
            run="dead01",
            store=names[1],
            engine="postgres",
            began_at=now - timedelta(days=3),
            result=DrillResult.FAILED,
            message="The copy of b-9 was not restored: the archive ends early.",
        )
    )
    return ShownStores({name: _store(name) for name in names}, records)


def _store(name: str) -> BackupStore:
    return BackupStore(
        name=name,
        service="prod/orders",
        engine=FakeBackupEngine(BackupWorld(Clock(), lambda _: None)),
        engine_name="postgres",
        rpo=timedelta(hours=1),
        rto=timedelta(hours=4),
        drill=DrillRules(every=timedelta(days=7)),
        where="/backups/orders",
    )


def _look(records: StoredBackupRecords, name: str, now: datetime) -> None:
    well = name.endswith("orders-db")
    at = now - timedelta(minutes=12 if well else 300)
    backups = [Backup(id=f"orders-{at:%Y%m%dT%H%M%SZ}", data_at=at, size_bytes=12_345_678_901, kind="full")]
    if not well:
        broken = Backup(id="b-9", data_at=now - timedelta(minutes=20), problem="its archive ends early", size_bytes=7)
        backups.insert(0, broken)
    problem = "PostgreSQL at db-1 did not answer within 5 s." if "events" in name else ""
    records.put_look(
        StoreLook(
            store=name,
            looked_at=now,
            inventory=Inventory(backups=tuple(backups), continuity=Continuity(ok_until=at) if well else None),
            read_at=now - timedelta(hours=3) if problem else now,
            problem=problem,
            problem_since=now - timedelta(hours=3) if problem else None,
        )
    )


def _drill(name: str, at: datetime, week: int) -> Drill:
    return Drill(
        run=f"d{week:031}",
        store=name,
        engine="postgres",
        began_at=at,
        finished_at=at + timedelta(hours=2),
        result=DrillResult.PASSED,
        rto=timedelta(minutes=20 * week),
        rpo=timedelta(minutes=5 + week),
        checks=(CheckResult(name="orders", expected="3", got="3", ok=True),),
    )
