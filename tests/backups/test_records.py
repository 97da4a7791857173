"""Rows about backups come back as they were written, on both engines of the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.core.backup import (
    Backup,
    CheckResult,
    Continuity,
    Drill,
    DrillPhase,
    DrillResult,
    Inventory,
    RestorePoint,
    RestoreRecord,
    RestoreState,
    RestoreTask,
    StoreLook,
    Window,
)
from bot.core.errors import Rejected
from bot.store import migrating
from bot.store.backup_rows import StoredBackupRecords
from bot.store.engine import Store
from tests.house import NOON
from tests.postgres import Postgres

_TASK = RestoreTask(
    run="5f" * 16, store="prod/orders-db", point=RestorePoint(backup_id="b1", at=NOON), facts={"size": "3"}
)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoredBackupRecords]:
    if request.param == "sqlite":
        store = Store(f"sqlite:///{tmp_path}/v.db")
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        store = Store(postgres.url("backups", like=request.getfixturevalue("postgres_template")))
    migrating.migrate(store)
    yield StoredBackupRecords(store)
    store.close()


def test_a_restore_is_found_by_the_first_characters_of_its_run(records: StoredBackupRecords) -> None:
    record = RestoreRecord(
        task=_TASK, began_at=NOON, name="orders_restore_5f5f5f5f", restore_time=timedelta(seconds=90, microseconds=1)
    )
    records.put_restore(record)

    assert records.get_restore("5f5f") == record
    assert records.list_restores("prod/orders-db") == [record]
    assert records.list_restores("prod/other") == []


def test_a_restore_that_nobody_knows_and_one_of_two_are_refused(records: StoredBackupRecords) -> None:
    for run in ("aa01", "aa02"):
        records.put_restore(RestoreRecord(task=replace(_TASK, run=run), began_at=NOON))

    with pytest.raises(Rejected, match="There is no restore"):
        records.get_restore("bb")
    with pytest.raises(Rejected, match="More than one"):
        records.get_restore("aa")


def test_a_copy_that_was_removed_is_listed_no_more_and_still_known(records: StoredBackupRecords) -> None:
    record = RestoreRecord(task=_TASK, began_at=NOON)
    records.put_restore(record)
    records.put_restore(replace(record, state=RestoreState.REMOVED))

    assert records.list_restores() == []
    assert records.get_restore(_TASK.run).state is RestoreState.REMOVED


def test_drills_come_newest_first_and_the_one_that_runs_is_asked_to_stop(records: StoredBackupRecords) -> None:
    done = Drill(
        run="d1",
        store="prod/orders-db",
        engine="postgres",
        began_at=NOON,
        result=DrillResult.PASSED,
        phases=(DrillPhase(name="restore", start=NOON, end=NOON, size_bytes=7),),
        rto=timedelta(minutes=3),
        checks=(CheckResult(name="orders", expected="3", got="3", ok=True),),
    )
    runs = Drill(run="d2", store="prod/orders-db", engine="postgres", began_at=NOON + timedelta(days=7))
    for drill in (done, runs):
        records.put_drill(drill)

    assert records.ask_abort("prod/orders-db", "a restore was asked for") == "d2"
    records.put_drill(replace(runs, message="tearing down"))

    assert records.list_drills("prod/orders-db") == [replace(runs, message="tearing down"), done]
    assert (records.abort_reason("d2"), records.abort_reason("d1")) == ("a restore was asked for", "")
    assert records.ask_abort("prod/other", "no") == ""


def test_an_older_look_does_not_replace_a_newer_one(records: StoredBackupRecords) -> None:
    inventory = Inventory(
        backups=(Backup(id="b1", data_at=NOON, size_bytes=3, duration=timedelta(seconds=2)),),
        window=Window(earliest=NOON - timedelta(days=7), latest=NOON),
        continuity=Continuity(ok_until=NOON),
        interval=timedelta(hours=24),
    )
    newer = StoreLook(store="s", looked_at=NOON, inventory=inventory, read_at=NOON)
    records.put_look(newer)
    records.put_look(StoreLook(store="s", looked_at=NOON - timedelta(hours=1), inventory=None, problem="down"))

    assert records.get_look("s") == newer
    assert records.get_look("t") is None


def test_a_look_that_was_made_under_a_clock_that_was_ahead_gives_way(records: StoredBackupRecords) -> None:
    now = datetime.now(UTC)
    records.put_look(StoreLook(store="s", looked_at=now + timedelta(days=365), inventory=None, problem="down"))
    today = StoreLook(store="s", looked_at=now, inventory=None)

    records.put_look(today)

    assert records.get_look("s") == today
