"""clickhouse-backup: found by the text of commands, judged by the data, never asked to restore over the live one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.backup import CopyState, CutoverState, EngineParts, RestorePoint, RestoreTask
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.integrations.clickhouse_backup.backups import ClickHouseBackupEngine
from bot.integrations.clickhouse_backup.settings import ClickHouseBackupSettings
from tests.fakes.clickhouse_backup import PASSWORD, USER, FakeClickHouseBackup
from tests.fakes.clickhouse_http import PASSWORD as SERVER_PASSWORD
from tests.fakes.clickhouse_http import USER as SERVER_USER
from tests.integrations.clickhouse.ground import Ground

pytestmark = [pytest.mark.waits, pytest.mark.xdist_group("clickhouse")]


@pytest.fixture
def rest(ground: Ground) -> Iterator[FakeClickHouseBackup]:
    with FakeClickHouseBackup(ground.server) as fake:
        fake.snapshot("one", ground.database, at=ground.now() - timedelta(minutes=5))
        yield fake
    for row in ground.sql("SELECT name FROM system.databases WHERE startsWith(name, 'kept_DB_')"):
        ground.sql(f"DROP DATABASE {row['name']} SYNC")


def _engine(ground: Ground, rest: FakeClickHouseBackup, **changed: object) -> ClickHouseBackupEngine:
    given = {
        "url": rest.url,
        "user": USER,
        "password": PASSWORD,
        "server": ground.server.url,
        "server_user": SERVER_USER,
        "server_password": SERVER_PASSWORD,
        "database": ground.database,
        **changed,
    }
    parts = EngineParts(store=f"prod/{ground.database}", now=ground.now, pause=ground.wait)
    return ClickHouseBackupEngine(ClickHouseBackupSettings.model_validate(given), parts)


def _task(ground: Ground, rest: FakeClickHouseBackup, backup: str = "one") -> RestoreTask:
    plan = _engine(ground, rest).preview(RestorePoint(backup_id=backup), drill=False)
    point = RestorePoint(backup_id=backup)
    return RestoreTask(run=ground.run, store=f"prod/{ground.database}", point=point, facts=plan.facts)


def test_the_remote_listing_is_judged_with_the_zone_of_the_process(ground: Ground) -> None:
    made = datetime(2026, 11, 30, 12, tzinfo=UTC)
    with FakeClickHouseBackup(ground.server, zone_hours=3) as rest:
        rest.store("full", made)
        rest.store("more", made + timedelta(hours=1), required="full")
        rest.store("orphan", made + timedelta(hours=2), required="gone")
        rest.store("bad", made + timedelta(hours=3), desc="broken (can't stat metadata.json)")
        rest.store("on_bad", made + timedelta(hours=4), required="bad")

        found = {one.id: one for one in _engine(ground, rest, zone="Europe/Moscow").inventory().backups}

    assert [one for one, backup in found.items() if backup.usable] == ["more", "full"]
    assert found["full"].data_at == made
    assert found["more"].kind == "incremental"
    assert found["orphan"].problem == "the backup gone that it needs is gone"
    assert "broken" in found["bad"].problem
    assert "broken" in found["on_bad"].problem


def test_a_backup_that_is_still_uploaded_is_listed_already_and_cannot_be_used(
    ground: Ground, rest: FakeClickHouseBackup
) -> None:
    engine = _engine(ground, rest)
    engine.begin_backup(ground.run)
    rest.store(f"vakhta-{ground.run[:8]}", datetime.now(UTC))

    found = {one.id: one for one in engine.inventory().backups}

    assert found[f"vakhta-{ground.run[:8]}"].problem == "it is still being uploaded"
    assert found["one"].usable


def test_skipped_broken_parts_are_damage(ground: Ground, rest: FakeClickHouseBackup) -> None:
    (found,) = _engine(ground, rest, broken_parts=0.1).inventory().backups

    assert found.usable
    assert "skipped silently" in found.damage


def test_a_restore_goes_into_a_database_of_its_own(ground: Ground, rest: FakeClickHouseBackup) -> None:
    engine, task = _engine(ground, rest), _task(ground, rest)
    ground.sql("INSERT INTO DB.orders VALUES (9999, now64(3), 'late')")

    engine.begin(task)
    engine.begin(task)
    running = engine.look(task)
    rest.finish()

    assert running.state is CopyState.RUNNING
    assert engine.look(task).state is CopyState.RESTORED
    assert len(rest.actions) == 1
    assert ground.count("DB.orders") == 1001
    assert ground.count(f"{ground.copy(task)}.orders") == 1000
    assert [one.run for one in engine.copies()] == [ground.run]
    assert [one for one in engine.verify(task, [], lambda _: None) if not one.ok] == []


def test_after_a_restart_the_outcome_is_found_by_the_rows(ground: Ground, rest: FakeClickHouseBackup) -> None:
    engine, task = _engine(ground, rest), _task(ground, rest)
    engine.begin(task)
    rest.finish()
    rest.restart()  # the status is [] now

    found = engine.look(task)
    assert found.state is CopyState.RESTORED
    assert "after a restart" in found.message
    engine.begin(task)
    assert rest.actions == []

    ground.sql(f"ALTER TABLE {ground.copy(task)}.orders DELETE WHERE id > 500 SETTINGS mutations_sync = 2")
    lost = engine.look(task)
    assert lost.state is CopyState.FAILED
    assert "Remove it, then restore again" in lost.message


def test_a_restart_before_anything_was_attached_begins_anew(ground: Ground, rest: FakeClickHouseBackup) -> None:
    engine, task = _engine(ground, rest), _task(ground, rest)
    engine.begin(task)
    rest.restart()

    assert engine.look(task).state is CopyState.ABSENT
    engine.begin(task)
    rest.finish()

    assert engine.look(task).state is CopyState.RESTORED


def test_a_success_without_data_is_no_restore(ground: Ground, rest: FakeClickHouseBackup) -> None:
    engine, task = _engine(ground, rest), _task(ground, rest)
    rest.broken_restores = True
    engine.begin(task)
    rest.finish()

    found = engine.look(task)

    assert found.state is CopyState.FAILED
    assert "orders is empty" in found.message


def test_one_operation_at_a_time_is_told_with_what_runs(ground: Ground, rest: FakeClickHouseBackup) -> None:
    engine, task = _engine(ground, rest), _task(ground, rest)
    engine.begin_backup(ground.run)

    with pytest.raises(Conflict, match=r"runs: create_remote.*Nothing was done"):
        engine.begin(task)

    rest.finish()
    engine.begin(task)
    assert engine.look(task).state is CopyState.RUNNING


def test_a_request_without_an_answer_is_found_by_its_command(ground: Ground, rest: FakeClickHouseBackup) -> None:
    engine, task = _engine(ground, rest, timeout=1), _task(ground, rest)
    rest.answer_next(reset=True, after_effect=True, path="/backup/restore_remote/one")

    with pytest.raises(OutcomeUnknown):
        engine.begin(task)

    assert engine.look(task).state is CopyState.RUNNING
    engine.begin(task)
    assert len(rest.actions) == 1


def test_a_failed_restore_says_why(ground: Ground, rest: FakeClickHouseBackup) -> None:
    engine, task = _engine(ground, rest), _task(ground, rest)
    engine.begin(task)
    rest.finish(error="not enough free space")

    assert "not enough free space" in engine.look(task).message


def test_removing_a_copy_ends_its_restore_first(ground: Ground, rest: FakeClickHouseBackup) -> None:
    engine, task = _engine(ground, rest), _task(ground, rest)
    engine.begin(task)
    (copy,) = engine.copies()

    engine.remove(copy)

    assert rest.actions[0].status == "cancel"
    assert engine.copies() == []


def test_a_copy_is_cut_over_and_back(ground: Ground, rest: FakeClickHouseBackup) -> None:
    engine, task = _engine(ground, rest), _task(ground, rest)
    ground.sql("ALTER TABLE DB.orders DELETE WHERE id >= 5 SETTINGS mutations_sync = 2")
    engine.begin(task)
    rest.finish()

    engine.cut_over(task, "cut", lambda _: None)
    assert (engine.look_cutover(task, "cut").state, ground.count("DB.orders")) == (CutoverState.NEW, 1000)

    engine.undo_cutover(task, "cut", lambda _: None)
    assert ground.count("DB.orders") == 5


def test_a_backup_now_is_made_once(ground: Ground, rest: FakeClickHouseBackup) -> None:
    engine = _engine(ground, rest)
    assert engine.look_backup(ground.run).state is CopyState.ABSENT

    engine.begin_backup(ground.run)
    engine.begin_backup(ground.run)
    assert engine.look_backup(ground.run).state is CopyState.RUNNING
    rest.finish()
    rest.restart()

    made = engine.look_backup(ground.run)
    assert (made.state, made.message) == (CopyState.RESTORED, f"vakhta-{ground.run[:8]}")
    assert len([one for one in rest.received if one.path == "/backup/create_remote"]) == 1


def test_a_base_that_is_gone_between_plan_and_start_fails_the_restore(
    ground: Ground, rest: FakeClickHouseBackup
) -> None:
    rest.store("more", datetime.now(UTC), required="one")
    del rest.backups["one"]

    with pytest.raises(Rejected, match="the backup one that it needs is gone"):
        _engine(ground, rest).preview(RestorePoint(backup_id="more"), drill=False)


def test_a_wrong_password_is_unknown_and_never_ok(ground: Ground, rest: FakeClickHouseBackup) -> None:
    with pytest.raises(Rejected, match="refused") as refused:
        _engine(ground, rest, password="wrong-secret").inventory()
    assert "wrong-secret" not in refused.value.message


def test_only_one_shard_is_told(ground: Ground, rest: FakeClickHouseBackup) -> None:
    engine, task = _engine(ground, rest, shards=4), _task(ground, rest)
    engine.begin(task)
    rest.finish()

    assert engine.verify(task, [], lambda _: None)[0].got == "1 of 4 shards"
