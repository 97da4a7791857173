"""ClickHouse on a real engine: backups are judged by opening them, restored beside, verified, and found again."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.backup import Check, Copy, CopyState, RestorePoint, RestoreTask
from bot.core.errors import Rejected
from tests.fakes.clickhouse_http import ClickHouseRefusal
from tests.integrations.clickhouse.ground import Ground
from tests.late import ENGINE_IS_BEHIND
from tests.running import until

pytestmark = [pytest.mark.waits, pytest.mark.xdist_group("clickhouse")]


def _no(_: str) -> None:
    """Nobody reads the reports."""


@pytest.mark.skipif(bool(ENGINE_IS_BEHIND), reason=ENGINE_IS_BEHIND)
def test_a_backup_of_backup_is_listed_with_the_time_of_its_data_and_can_be_used(ground: Ground) -> None:
    before = datetime.now(UTC)
    ground.back_up("one")

    found = ground.engine().inventory()

    assert found.blockers == ()
    assert [one.id for one in found.backups] == ["one"]
    assert found.backups[0].usable
    assert before - timedelta(seconds=1) <= found.backups[0].data_at <= datetime.now(UTC)
    assert found.backups[0].size_bytes


def test_another_stores_backups_are_not_listed(ground: Ground) -> None:
    ground.back_up("one")
    ground.sql("BACKUP DATABASE DB TO File('elsewhere/DB')")

    assert [one.id for one in ground.engine().inventory().backups] == ["one"]


def test_an_incremental_whose_base_was_deleted_cannot_be_used_and_says_so(ground: Ground) -> None:
    ground.back_up("base")
    ground.back_up("more", base="base")
    shutil.rmtree(ground.backups / "base")

    found = {one.id: one for one in ground.engine().inventory().backups}

    assert "not found" in found["more"].problem
    assert "base" in found["more"].problem
    assert found["base"].problem
    with pytest.raises(Rejected, match=r"cannot be used.*Nothing was done"):
        ground.engine().preview(RestorePoint(backup_id="more"), drill=False)


def test_an_incremental_has_all_rows_of_its_base(ground: Ground) -> None:
    ground.back_up("base")
    ground.sql("INSERT INTO DB.orders SELECT number + 5000, now64(3), 'x' FROM numbers(10)")
    ground.back_up("more", base="base")

    task = ground.restored(ground.run, "more")

    assert ground.count(f"{ground.copy(task)}.orders") == 1010
    assert ground.engine().inventory().backups[0].kind == "incremental"


def test_a_backup_that_the_server_lost_at_its_death_was_never_finished(ground: Ground) -> None:
    ground.back_up("one")
    ground.sql("BACKUP DATABASE DB TO File('DB/two') SETTINGS id = 'DBtwo'")
    ground.server.restart(forget_from=f"{ground.database}two")
    ground.server.sql(
        "INSERT INTO system.backup_log (hostname, event_time_microseconds, id, name, status, start_time) VALUES"
        f" ('one', now64(6), '{ground.database}three', 'File(''{ground.database}/three'')', 'CREATING_BACKUP',"
        " now64(6))"
    )

    found = {one.id: one for one in ground.engine().inventory().backups}

    assert found["one"].usable
    assert "restarted while it was being made" in found["three"].problem
    assert found["three"].finished_at is None


def test_a_failed_backup_says_why_without_a_stack(ground: Ground) -> None:
    with pytest.raises(ClickHouseRefusal):
        ground.sql("BACKUP DATABASE DB, TABLE DB.nothing TO File('DB/bad')")

    (found,) = ground.engine().inventory().backups

    assert found.problem.startswith("it failed (BACKUP_FAILED): Code: ")
    assert "Stack trace" not in found.problem


def test_a_server_without_the_log_of_backups_is_a_blocker(ground: Ground) -> None:
    ground.back_up("one")
    ground.server.with_log = False

    assert "system.backup_log" in ground.engine().inventory().blockers[0]
    with pytest.raises(Rejected, match="backup_log"):
        ground.engine().preview(RestorePoint(), drill=False)


def test_the_plan_says_what_comes_back_and_what_does_not(ground: Ground) -> None:
    ground.back_up("one")
    ground.sql("INSERT INTO DB.orders VALUES (9999, now64(3), 'late')")

    plan = ground.engine().preview(RestorePoint(), drill=False)

    assert plan.backup_id == "one"
    assert plan.copy_name == f"database {ground.database}_restore_{{run}}"
    assert "outside (URL)" in plan.not_restored
    assert "to_totals (MaterializedView)" in plan.not_restored
    assert any("users, roles" in one for one in plan.not_restored)
    assert "orders: 1001 rows live, 1000 in the backup" in plan.moving
    assert plan.free_bytes
    assert plan.needs_bytes == plan.size_bytes


def test_a_time_in_the_future_or_before_the_first_backup_is_refused(ground: Ground) -> None:
    ground.back_up("one")
    now = datetime.now(UTC)

    with pytest.raises(Rejected, match=r"in the future.*latest"):
        ground.engine().preview(RestorePoint(at=now + timedelta(hours=1)), drill=False)
    with pytest.raises(Rejected, match="or before"):
        ground.engine().preview(RestorePoint(at=now - timedelta(days=1)), drill=False)


def test_a_table_whose_replication_path_is_not_its_own_is_refused(ground: Ground) -> None:
    ground.back_up("one")
    rows = ground.sql("SELECT *, toString(uuid) AS uuid FROM system.tables WHERE database = 'DB' AND name = 'orders'")
    shared = {
        **rows[0],
        "engine": "ReplicatedMergeTree",
        "engine_full": "ReplicatedMergeTree('/t/orders', '{replica}')",
    }
    ground.server.script("FROM system.tables WHERE database = ", [shared])

    with pytest.raises(Rejected, match=r"path of orders has no \{uuid\}.*Nothing was done"):
        ground.engine().preview(RestorePoint(), drill=False)


def test_a_restore_goes_beside_and_every_row_is_there(ground: Ground) -> None:
    ground.back_up("one")
    ground.sql("INSERT INTO DB.orders VALUES (9999, now64(3), 'late')")

    task = ground.restored(ground.run)
    results = ground.engine().verify(task, [], _no)

    assert ground.count("DB.orders") == 1001
    assert [one for one in results if not one.ok] == []
    names = {one.name for one in results}
    assert {"rows of orders", "rows of small", "CHECK TABLE small", "checksum of orders", "replicas"} <= names
    copy = ground.copy(task)
    assert ground.server.value(f"SELECT comment FROM system.databases WHERE name = '{copy}'").startswith(
        f"vakhta.dev/restore={ground.run} "
    )


def test_nothing_that_reads_from_others_is_restored(ground: Ground) -> None:
    ground.back_up("one")

    task = ground.restored(ground.run)

    rows = ground.sql(f"SELECT name FROM system.tables WHERE database = '{ground.copy(task)}' ORDER BY name")
    assert [row["name"] for row in rows] == ["orders", "small", "totals"]


def test_a_second_begin_for_the_same_run_does_nothing(ground: Ground) -> None:
    ground.back_up("one")
    task = ground.restored(ground.run)

    ground.engine().begin(task)

    assert ground.ended(task).state is CopyState.RESTORED
    assert ground.count(f"{ground.copy(task)}.orders") == 1000
    assert sum(one.startswith("RESTORE") for one in ground.server.statements) == 1


def test_a_begin_that_died_before_the_restore_goes_on(ground: Ground) -> None:
    ground.back_up("one")
    task = ground.task(ground.run)
    ground.sql(f"CREATE DATABASE {ground.copy(task)} COMMENT 'vakhta.dev/restore={ground.run} store=prod/DB'")

    assert ground.engine().look(task).state is CopyState.ABSENT
    ground.engine().begin(task)

    assert ground.ended(task).state is CopyState.RESTORED


@pytest.mark.parametrize("ended", [False, True], ids=["while it runs", "after its end"])
def test_a_begin_that_was_frozen_before_its_restore_harms_nothing_that_another_process_began(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, *, ended: bool
) -> None:
    ground.back_up("one")
    task = ground.task(ground.run)
    frozen = ground.engine()
    statement = frozen._copies._restore_statement

    def thawed(task: RestoreTask, copy: str) -> str:
        ground.engine().begin(task)
        if ended:
            assert ground.ended(task).state is CopyState.RESTORED
        else:
            refusal = ClickHouseRefusal(596, f"Pair of backup_id vakhta-restore-{task.run} is already in use")
            ground.server.script("^RESTORE", refusal)
        return statement(task, copy)

    monkeypatch.setattr(frozen._copies, "_restore_statement", thawed)

    frozen.begin(task)

    assert ground.ended(task).state is CopyState.RESTORED, ground.ended(task).message
    assert ground.count(f"{ground.copy(task)}.orders") == 1000


def test_a_restore_is_found_by_its_rows_after_the_server_forgot_it(ground: Ground) -> None:
    ground.back_up("one")
    task = ground.restored(ground.run)
    ground.server.restart()
    assert ground.engine().look(task).message == ""  # the log knows it

    ground.server.restart(forget_from=f"vakhta-restore-{ground.run}")

    status = ground.engine().look(task)
    assert status.state is CopyState.RESTORED
    assert "after a restart" in status.message


def test_a_table_that_is_empty_after_the_servers_death_is_wreckage(ground: Ground) -> None:
    ground.back_up("one")
    task = ground.restored(ground.run)
    ground.sql(f"TRUNCATE TABLE {ground.copy(task)}.orders")
    ground.server.restart(forget_from=f"vakhta-restore-{ground.run}")

    status = ground.engine().look(task)

    assert status.state is CopyState.FAILED
    assert "orders has 0 rows of 1000" in status.message
    assert "Remove it" in status.message
    ground.engine().begin(task)  # the run was begun: nothing is restored into the wreckage
    assert ground.engine().look(task).state is CopyState.FAILED


def test_a_status_of_restored_does_not_help_a_table_without_its_rows(ground: Ground) -> None:
    ground.back_up("one")
    task = ground.restored(ground.run)
    ground.sql(f"TRUNCATE TABLE {ground.copy(task)}.orders")

    assert ground.engine().look(task).state is CopyState.FAILED


def test_a_part_that_was_dropped_from_the_backup_is_found_before_the_restore(ground: Ground) -> None:
    ground.sql("INSERT INTO DB.orders SELECT number, now64(3), randomPrintableASCII(100) FROM numbers(5000)")
    ground.back_up("one")
    shutil.rmtree(next((ground.backups / "one" / "data" / ground.database / "orders").iterdir()))

    (found,) = ground.engine().inventory().backups

    assert not found.usable
    assert "parts are missing" in found.problem


def test_a_part_that_is_cut_short_fails_the_restore_and_is_told(ground: Ground) -> None:
    ground.back_up("one")
    task = ground.task(ground.run)
    data = next((ground.backups / "one" / "data" / ground.database / "orders").glob("*/data.bin"))
    data.write_bytes(data.read_bytes()[:100])

    ground.engine().begin(task)

    status = ground.ended(task)
    assert status.state is CopyState.FAILED
    assert "unexpected size" in status.message


def test_a_byte_that_has_changed_in_the_backup_is_found_by_the_checks(ground: Ground) -> None:
    ground.back_up("one")
    data = next((ground.backups / "one" / "data" / ground.database / "orders").glob("*/data.bin"))
    read = bytearray(data.read_bytes())
    read[len(read) // 2] ^= 0xFF
    data.write_bytes(read)

    task = ground.restored(ground.run)  # which ClickHouse calls RESTORED

    results = {one.name: one for one in ground.engine().verify(task, [], _no)}
    assert not results["CHECK TABLE orders"].ok
    assert not results["checksum of orders"].ok


def test_a_part_that_was_dropped_from_the_copy_is_found_by_the_checks(ground: Ground) -> None:
    ground.sql("INSERT INTO DB.orders SELECT number + 5000, now64(3), 'x' FROM numbers(10)")
    ground.back_up("one")
    task = ground.restored(ground.run)
    copy = ground.copy(task)
    part = ground.server.value(f"SELECT name FROM system.parts WHERE database = '{copy}' AND table = 'orders' LIMIT 1")
    ground.sql(f"ALTER TABLE {copy}.orders DROP PART '{part}'")

    results = {one.name: one for one in ground.engine().verify(task, [], _no)}

    assert not results["rows of orders"].ok
    assert results["rows of orders"].expected == "1010 (backup)"
    assert not results["checksum of orders"].ok


def test_a_small_table_that_comes_back_empty_is_found(ground: Ground) -> None:
    ground.back_up("one")
    task = ground.restored(ground.run)
    ground.sql(f"TRUNCATE TABLE {ground.copy(task)}.small")

    results = {one.name: one for one in ground.engine().verify(task, [], _no)}

    assert not results["rows of small"].ok
    assert results["rows of small"].expected == "some of 7 (live)"


def test_the_checks_of_the_settings_are_asked_of_the_copy(ground: Ground) -> None:
    ground.back_up("one")
    task = ground.restored(ground.run)
    ground.sql("INSERT INTO DB.orders SELECT number + 5000, now64(3), 'x' FROM numbers(10)")

    checks = [
        Check(name="all", query="SELECT count() FROM orders", expect="1000"),
        Check(name="like live", query="SELECT count() FROM orders", like_live=True, tolerance_percent=2),
        Check(name="too far", query="SELECT count() FROM orders", like_live=True, tolerance_percent=0.1),
        Check(name="newest", query="SELECT max(at) FROM orders", newest_within=timedelta(hours=1)),
        Check(name="broken", query="SELECT nothing FROM orders", expect="1"),
    ]
    results = {one.name: one for one in ground.engine().verify(task, checks, _no)}

    assert {name: results[name].ok for name in ("all", "like live", "too far", "newest", "broken")} == {
        "all": True,
        "like live": True,
        "too far": False,
        "newest": True,
        "broken": False,
    }
    assert "1010" in results["too far"].expected


def test_a_drills_copy_is_closed_to_users_without_rights(ground: Ground) -> None:
    ground.back_up("one")
    task = ground.restored(ground.run, drill=True)
    engine = ground.engine(outsider="shop", outsider_password="shop-secret")

    assert engine.isolation_leak(task) == ""
    ground.server.readers["shop"] = "shop-secret"
    assert "The user shop can read" in engine.isolation_leak(task)


def test_a_table_that_reads_from_outside_is_a_leak(ground: Ground) -> None:
    ground.back_up("one")
    task = ground.restored(ground.run, drill=True)
    ground.sql(f"CREATE TABLE {ground.copy(task)}.feed (id UInt64) ENGINE = URL('http://127.0.0.1:1/', 'CSV')")

    assert "feed" in ground.engine().isolation_leak(task)


def test_only_our_own_copies_are_listed_and_removed(ground: Ground) -> None:
    ground.back_up("one")
    task = ground.restored(ground.run, drill=True)
    ground.sql("CREATE DATABASE DB_restore_stranger")
    stranger = f"{ground.database}_restore_stranger"

    (copy,) = ground.engine().copies()
    assert (copy.run, copy.name, copy.drill) == (ground.run, ground.copy(task), True)
    assert copy.created_at is not None
    for name in (stranger, ground.database):
        with pytest.raises(Rejected, match="Nothing was removed"):
            ground.engine().remove(Copy(run=ground.run, name=name, created_at=None, drill=True))
    ground.engine().remove(copy)
    ground.engine().remove(copy)

    assert ground.engine().copies() == []
    assert ground.engine().look(task).state is CopyState.FAILED  # it was restored, and is gone
    assert ground.count("DB.orders") == 1000


def test_a_sentinel_comes_back_with_its_time(ground: Ground) -> None:
    ground.engine().write_sentinel("first")
    ground.back_up("one")
    ground.engine().write_sentinel("second")

    task = ground.restored(ground.run)

    found = ground.engine().read_sentinels(task)
    assert set(found) == {"first"}
    assert abs(found["first"] - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_backup_now_is_made_once_and_opened(ground: Ground) -> None:
    engine = ground.engine()
    assert engine.look_backup(ground.run).state is CopyState.ABSENT

    engine.begin_backup(ground.run)
    engine.begin_backup(ground.run)
    until(lambda: engine.look_backup(ground.run).state is not CopyState.RUNNING, "the backup is made")

    made = engine.look_backup(ground.run)
    assert (made.state, made.message) == (CopyState.RESTORED, f"vakhta-{ground.run[:8]}")
    assert [one.id for one in engine.inventory().backups] == [f"vakhta-{ground.run[:8]}"]
    shutil.rmtree(ground.backups / made.message)
    assert engine.look_backup(ground.run).state is CopyState.FAILED


def test_a_wrong_password_is_told_and_is_not_shown(ground: Ground) -> None:
    with pytest.raises(Rejected) as refused:
        ground.engine(password="wrong-secret").inventory()

    assert "Authentication failed" in refused.value.message
    assert "wrong-secret" not in refused.value.message


def test_a_server_that_does_not_answer_is_unknown_and_never_ok(ground: Ground) -> None:
    with pytest.raises(Rejected, match="could not be reached"):
        ground.engine(url="http://127.0.0.1:1").inventory()
