"""Stores, backups and drills for the tests of judging, and an engine that only says what a test put into it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from bot.core.backup import (
    Backup,
    BackupReader,
    BackupStore,
    Drill,
    DrillResult,
    DrillRules,
    Inventory,
    StoreLook,
)
from tests.fakes.backup_engine import BackupWorld, FakeBackupReader, FakeRestorer
from tests.house import NOON

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def world(now: Callable[[], datetime] = lambda: NOON) -> BackupWorld:
    return BackupWorld(now, lambda _: None)


def store(engine: BackupReader | None = None, **said: Any) -> BackupStore:
    """A store with an RPO of an hour and an RTO of four, which is drilled once a week."""
    given: dict[str, Any] = {
        "name": "prod/orders-db",
        "service": "prod/orders",
        "engine": engine or FakeRestorer(world()),
        "engine_name": "fake",
        "rpo": HOUR,
        "rto": 4 * HOUR,
        "drill": DrillRules(every=7 * DAY),
    }
    return BackupStore(**(given | said))


def reader(**said: Any) -> BackupStore:
    """A store whose engine only reads."""
    return store(FakeBackupReader(world()), **said)


def backup(age: timedelta = timedelta(minutes=10), **said: Any) -> Backup:
    """A usable backup of that age at noon."""
    data_at = NOON - age
    given: dict[str, Any] = {"id": f"b-{age.total_seconds():.0f}", "data_at": data_at, "finished_at": data_at}
    return Backup(**(given | said))


def look(*backups: Backup, **said: Any) -> StoreLook:
    """A look of this moment that found them."""
    inventory = Inventory(backups=backups, **said)
    return StoreLook(store="prod/orders-db", looked_at=NOON, read_at=NOON, inventory=inventory)


def drill(age: timedelta = DAY, result: DrillResult = DrillResult.PASSED, **said: Any) -> Drill:
    """A drill that began that long before noon, and took an hour."""
    given: dict[str, Any] = {
        "run": f"{age.total_seconds():032.0f}",
        "store": "prod/orders-db",
        "engine": "fake",
        "began_at": NOON - age,
        "finished_at": NOON - age + HOUR,
        "result": result,
        "rto": HOUR,
        "size_bytes": 10**9,
    }
    return Drill(**(given | said))
