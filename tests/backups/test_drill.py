"""A drill: what it restores, what it proves, how it ends, and that nothing of it stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.backups import drill as drills
from bot.backups.drill import write_sentinel
from bot.core.backup import (
    Check,
    CopyState,
    CopyStatus,
    DrillResult,
    RestorePoint,
    RestoreRecord,
    RestoreState,
    RestoreTask,
)
from bot.core.errors import Rejected
from bot.core.plan import Result
from tests.backups.drill_ground import HOUR, MINUTE, NAME, OTHER, RUN, DrillGround, SlowToHydrate, grounds
from tests.fakes.backup_engine import DEATHS_OF_A_RESTORE, FakeBackupEngine, unanswered

pytestmark = pytest.mark.waits


@pytest.fixture
def ground(sqlite_template: Path, tmp_path: Path) -> Iterator[DrillGround]:
    with grounds(sqlite_template, tmp_path) as made:
        yield made


def test_a_backup_that_restores_is_proved_and_nothing_of_it_stays(ground: DrillGround) -> None:
    began = ground.clock()
    outcome = ground.drill()

    row = ground.row()
    assert outcome.result is Result.DONE
    assert (row.result, row.backup_id, row.began_at, row.engine) == (DrillResult.PASSED, "b1", began, "fake")
    assert [one.name for one in row.checks] == ["rows", "orders"]
    assert all(one.ok for one in row.checks)
    assert row.rto is not None
    assert row.restored_at is not None
    assert 10 * MINUTE <= row.rto < 11 * MINUTE
    assert row.rpo == 20 * MINUTE
    assert ground.copies() == []
    assert row.leftovers == ()
    assert ground.records.list_restores(NAME) == []
    assert ground.records.get_restore(RUN).state is RestoreState.REMOVED


def test_each_phase_has_its_time_and_the_teardown_is_no_part_of_the_rto(ground: DrillGround) -> None:
    ground.engine = SlowToHydrate(ground.world)
    ground.drill()

    row = ground.row()
    assert [one.name for one in row.phases] == ["restore", "hydrate", "verify", "hydrate", "teardown"]
    assert all(one.end is not None for one in row.phases)
    assert row.phases[1].size_bytes == 10_000_000_000
    assert row.rto == row.phases[4].start - row.began_at


def test_a_copy_that_is_gone_when_its_removal_is_answered_is_waited_for_no_longer(ground: DrillGround) -> None:
    ground.drill()

    teardown = ground.row().phases[-1]
    assert teardown.name == "teardown"
    assert teardown.end == teardown.start


def test_a_plan_says_from_which_backup_and_that_it_is_scratch_and_what_it_rests_on(ground: DrillGround) -> None:
    ground.clock.pass_by(minutes=1)
    ground.world.add_backup("b2", ground.clock(), problem="it was cut off")
    plan = ground.plan()

    assert plan.effect[0].startswith(
        "prod/orders is restored from b1 (data of 2026-11-23 12:01 UTC, 10 GB) into scratch: "
    )
    assert plan.lock == "drill of prod/orders"
    assert plan.moving[0] == "it takes an unknown time: no drill has measured it"
    assert plan == ground.plan()
    ground.drill(plan)
    assert ground.plan().moving[0].startswith("it takes about 10 min")


def test_a_backup_with_fewer_rows_than_it_should_have_is_damaged(ground: DrillGround) -> None:
    ground.world.course.loses_rows = 1
    outcome = ground.drill()

    row = ground.row()
    assert (outcome.result, row.result) == (Result.FAILED, DrillResult.DAMAGED)
    assert "orders: expected 3, got 2." in row.message
    assert ground.copies() == []


def test_a_restore_that_fails_late_has_failed_and_says_why(ground: DrillGround) -> None:
    ground.world.course.fails_after = 8 * MINUTE
    ground.drill()

    assert ground.row().result is DrillResult.FAILED
    assert "No space left on device" in ground.row().message
    assert ground.copies() == []


def test_a_copy_that_is_not_isolated_is_not_looked_into(ground: DrillGround) -> None:
    ground.world.leak = "it reached smtp.example:25"
    seen: list[str] = []
    ground.world.at["verify.called"] = lambda: seen.append("its data")
    outcome = ground.drill()

    assert ground.row().result is DrillResult.FAILED
    assert "its data was not used: it reached smtp.example:25." in outcome.message
    assert seen == []
    assert ground.row().checks == ()
    assert ground.copies() == []


def test_a_drill_without_a_single_check_proves_nothing(ground: DrillGround, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(ground.engine), "verify", lambda *_: [])
    ground.drill()

    assert ground.row().result is DrillResult.FAILED
    assert "nothing is proved" in ground.row().message


def test_a_sentinel_that_was_in_the_store_before_the_backup_proves_its_age(ground: DrillGround) -> None:
    write_sentinel(ground.backup_store, ground.records, "t1", ground.clock)
    ground.clock.pass_by(minutes=5)
    ground.world.add_backup("b2", ground.clock())
    ground.clock.pass_by(minutes=7)
    write_sentinel(ground.backup_store, ground.records, "t2", ground.clock)
    ground.drill()

    row = ground.row()
    assert (row.result, row.sentinel, row.rpo) == (DrillResult.PASSED, "t1", 7 * MINUTE)
    assert row.checks[-1].name == "sentinel"
    assert row.checks[-1].ok


def test_a_sentinel_that_is_lost_fails_the_drill(ground: DrillGround) -> None:
    write_sentinel(ground.backup_store, ground.records, "t1", ground.clock)
    ground.clock.pass_by(minutes=5)
    ground.world.add_backup("b2", ground.clock())
    ground.world.loses_sentinels = True
    ground.drill()

    assert ground.row().result is DrillResult.FAILED
    assert ground.row().message == ("sentinel: expected the token of 2026-11-23 12:21 UTC, got lost: no token at all.")


def test_a_sentinel_that_was_written_about_when_the_backup_was_made_is_not_expected_in_it(ground: DrillGround) -> None:
    write_sentinel(ground.backup_store, ground.records, "t1", ground.clock)
    ground.clock.pass_by(seconds=30)
    ground.world.add_backup("b2", ground.clock())
    ground.world.loses_sentinels = True
    ground.drill()

    assert (ground.row().result, ground.row().sentinel) == (DrillResult.PASSED, "")


def test_where_there_is_a_log_all_of_it_is_restored_and_counts_for_the_rpo(ground: DrillGround) -> None:
    ground.world.point_in_time = True
    ground.clock.pass_by(minutes=30)
    write_sentinel(ground.backup_store, ground.records, "t1", ground.clock)
    ground.clock.pass_by(minutes=10)
    ground.drill()

    row = ground.row()
    assert ground.records.get_restore(RUN).task.point == RestorePoint(backup_id="b1", latest=True)
    assert (row.result, row.sentinel) == (DrillResult.PASSED, "t1")
    assert row.rpo == MINUTE


def test_a_backup_that_restores_too_slowly_passes_and_is_told_so(ground: DrillGround) -> None:
    ground.world.course.takes = 5 * HOUR
    ground.rules = replace(ground.rules, at_most=6 * HOUR)
    outcome = ground.drill()

    assert ground.row().result is DrillResult.PASSED
    assert "It took longer than the RTO of 4 h." in outcome.message


def test_a_restore_that_stands_still_is_over_by_its_deadline(ground: DrillGround) -> None:
    ground.world.course.stalls_after, ground.world.course.stalls_for = 5 * MINUTE, 90 * HOUR
    began = ground.clock()
    ground.drill()

    row = ground.row()
    assert row.result is DrillResult.FAILED
    assert row.message.startswith("It was not over within 4 h (drill.at_most). The last that was seen: copying, 5.0 GB")
    assert row.finished_at is not None
    assert row.finished_at - began < 4 * HOUR + 5 * MINUTE
    assert ground.copies() == []


@pytest.mark.parametrize("step", [-HOUR, 30 * HOUR], ids=["back", "forward"])
@pytest.mark.parametrize("place", ["begin.done", "verify.called", "verify.half"])
def test_a_clock_that_is_set_changes_neither_its_result_nor_its_figures(
    ground: DrillGround, place: str, step: timedelta
) -> None:
    def steps() -> None:
        ground.clock.at += step

    ground.world.at[place] = steps
    began = ground.passed
    ground.drill()

    row = ground.row()
    assert place not in ground.world.at, "it was reached"
    assert (row.result, ground.copies()) == (DrillResult.PASSED, [])
    assert row.rto is not None
    assert timedelta(0) <= row.rto <= ground.passed - began
    assert all(one.end is not None and one.end >= one.start for one in row.phases)


def test_data_of_a_moment_that_has_not_come_is_no_rpo_of_zero(ground: DrillGround) -> None:
    ground.world.held_sentinels["b1"] = {"t1": ground.clock() + 9000 * HOUR}
    ground.drill()

    assert ground.row().rpo == 20 * MINUTE


def test_an_engine_that_hangs_in_its_call_does_not_hold_the_drill_up(ground: DrillGround) -> None:
    ground.world.course.blocks, ground.world.course.takes = True, 9 * HOUR
    ground.drill()

    assert ground.row().result is DrillResult.FAILED
    assert ground.copies() == []


def test_a_restore_that_waits_for_an_hour_is_told_to_wait_and_not_to_be_stuck(ground: DrillGround) -> None:
    ground.world.course.waits = HOUR
    ground.drill()

    assert "waiting: waiting behind 3 backups" in ground.said
    assert ground.row().result is DrillResult.PASSED


def test_a_person_s_restore_goes_before_a_drill(ground: DrillGround) -> None:
    ground.world.at["verify.called"] = lambda: ground.records.ask_abort(NAME, "a restore was asked for")
    outcome = ground.drill()

    assert ground.row().result is DrillResult.ABORTED
    assert outcome.message.endswith("Stopped: a restore was asked for.")
    assert ground.copies() == []


def test_a_drill_is_not_begun_while_a_person_s_restore_goes_on(ground: DrillGround) -> None:
    plan = ground.plan()
    task = RestoreTask(run=OTHER, store=NAME, point=RestorePoint(backup_id="b1"))
    ground.records.put_restore(RestoreRecord(task=task, began_at=ground.clock()))

    with pytest.raises(Rejected, match="A restore of prod/orders goes on"):
        ground.plan()
    ground.drill(plan)
    assert ground.row().result is DrillResult.MISSED
    assert ground.world.begun == []


def test_of_two_drills_at_once_the_one_that_was_first_goes_on(ground: DrillGround) -> None:
    plan = ground.plan()
    ground.world.at["verify.called"] = lambda: ground.drill(plan, OTHER)
    ground.drill(plan)

    assert (ground.row(RUN).result, ground.row(OTHER).result) == (DrillResult.PASSED, DrillResult.MISSED)
    assert ground.world.begun == [RUN]
    assert "goes on" in ground.row(OTHER).message


def test_a_person_can_stop_it(ground: DrillGround) -> None:
    ground.world.at["verify.called"] = lambda: drills.stop(NAME, "Ana", ground.tools)
    ground.drill()

    assert (ground.row().result, ground.row().message) == (DrillResult.ABORTED, "Stopped: Ana asked for it.")
    with pytest.raises(Rejected, match="No drill of prod/orders goes on"):
        drills.stop(NAME, "Ana", ground.tools)


def test_a_backup_that_expires_before_a_drill_could_end_is_refused(ground: DrillGround) -> None:
    ground.world.backups[0] = replace(ground.world.backups[0], expires_at=ground.clock() + HOUR)

    with pytest.raises(Rejected, match="b1, the newest usable backup of prod/orders, expires at"):
        ground.plan()


def test_a_backup_that_expired_between_plan_and_run_is_a_drill_that_was_missed(ground: DrillGround) -> None:
    plan = ground.plan()
    ground.world.backups.clear()
    outcome = ground.drill(plan)

    assert ground.row().result is DrillResult.MISSED
    assert "backup b1 is gone" in outcome.message
    assert ground.world.begun == []


def test_a_quota_that_refuses_the_copy_is_a_drill_that_was_missed(ground: DrillGround) -> None:
    ground.world.begin_troubles.append((Rejected("The quota of 40 instances is reached. Nothing was done."), False))
    ground.drill()

    assert ground.row().result is DrillResult.MISSED
    assert ground.row().message == "It could not begin: The quota of 40 instances is reached. Nothing was done."


@pytest.mark.parametrize("effect", [True, False])
def test_a_call_without_an_answer_is_found_out_by_looking(ground: DrillGround, *, effect: bool) -> None:
    ground.world.begin_troubles.append(unanswered(effect=effect))
    ground.drill()

    assert ground.row().result is (DrillResult.PASSED if effect else DrillResult.FAILED)
    assert ground.world.begun == ([RUN] if effect else [])
    assert ground.copies() == []


def test_a_copy_that_looks_failed_while_its_call_goes_on_is_not_given_up(
    ground: DrillGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its database is there, and its program is not started yet: so it looks, to every other thread."""
    going_on, seen = threading.Event(), FakeBackupEngine.look
    begin = FakeBackupEngine.begin

    def look(engine: FakeBackupEngine, task: RestoreTask) -> CopyStatus:
        if going_on.is_set():
            return seen(engine, task)
        going_on.set()
        return CopyStatus(state=CopyState.FAILED, message="its process has left it")

    def slow(engine: FakeBackupEngine, task: RestoreTask) -> None:
        assert going_on.wait(60)
        begin(engine, task)

    monkeypatch.setattr(FakeBackupEngine, "look", look)
    monkeypatch.setattr(FakeBackupEngine, "begin", slow)
    ground.drill()

    assert ground.row().result is DrillResult.PASSED


def test_an_engine_that_cannot_be_read_for_a_while_is_waited_for(ground: DrillGround) -> None:
    ground.world.at["begin.done"] = lambda: setattr(ground.world, "dark_until", ground.clock() + 2 * HOUR)
    ground.drill()

    assert ground.row().result is DrillResult.PASSED
    assert any("does not answer" in one for one in ground.said)


@pytest.mark.parametrize("method", ["begin", "look", "isolation_leak", "verify", "copies", "remove"])
def test_a_bug_in_the_engine_ends_the_drill_and_what_it_leaves_is_told(
    ground: DrillGround, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    plan = ground.plan()

    def broken(*_: object) -> object:
        raise KeyError("DBInstances")

    monkeypatch.setattr(ground.engine, method, broken)

    ground.drill(plan)

    row, torn_down = ground.row(), method not in ("copies", "remove")
    assert row.finished_at is not None
    assert row.result is (DrillResult.FAILED if torn_down else DrillResult.PASSED)
    assert "in a way that nobody expected (KeyError)" in (row.message if torn_down else "".join(row.leftovers))
    assert (ground.copies() == []) == torn_down


def test_what_cannot_be_removed_is_listed(ground: DrillGround) -> None:
    ground.world.remove_troubles += [(Rejected("It is in use. Nothing was removed."), False)] * 5000
    outcome = ground.drill()

    assert ground.row().result is DrillResult.PASSED
    assert ground.row().leftovers == ("database orders_restore_5f5f5f5f (It is in use. Nothing was removed.)",)
    assert "Left behind: database orders_restore_5f5f5f5f" in outcome.message
    assert ground.records.get_restore(RUN).state is RestoreState.VERIFIED


def test_only_its_own_copy_is_removed(ground: DrillGround) -> None:
    ground.world.add_copy("aa" * 16, drill=True)
    ground.world.add_copy("bb" * 16)
    ground.drill()

    assert ground.world.removed == ["orders_restore_5f5f5f5f"]


def test_a_store_that_cannot_be_drilled_is_refused_with_a_reason(ground: DrillGround) -> None:
    ground.world.blockers = ("Versioning is off.",)
    with pytest.raises(Rejected, match=r"cannot be restored as it stands: Versioning is off\."):
        ground.plan()
    ground.world.blockers = ()
    ground.world.free_bytes = 1_000_000
    with pytest.raises(Rejected, match="needs 20 GB, and 1 MB are free"):
        ground.plan()
    ground.world.backups[0] = replace(ground.world.backups[0], problem="the archive is truncated")
    with pytest.raises(Rejected, match=r"has no usable backup\. The newest, b1: the archive is truncated"):
        ground.plan()


def test_a_clone_of_the_live_data_proves_no_backup(ground: DrillGround, monkeypatch: pytest.MonkeyPatch) -> None:
    full = ground.engine.preview  # type: ignore[attr-defined]
    monkeypatch.setattr(
        ground.engine, "preview", lambda *at, **how: replace(full(*at, **how), facts={"method": "clone"})
    )

    with pytest.raises(Rejected, match="which reads no backup and proves none"):
        ground.plan()


def test_what_its_engine_says_of_it_is_in_the_row(ground: DrillGround, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"method": "volume-snapshot", "scope": "1 of 4 shards", "cost": "0.40 USD", "version": "16.4"}
    full = ground.engine.preview  # type: ignore[attr-defined]
    monkeypatch.setattr(ground.engine, "preview", lambda *at, **how: replace(full(*at, **how), facts=said))
    assert "Cost: 0.40 USD." in ground.plan().effect
    ground.drill()

    row = ground.row()
    assert {"method": row.method, "scope": row.scope, "cost": row.cost, "version": row.version} == said


def test_a_check_that_cannot_be_made_is_damage_and_says_so(ground: DrillGround) -> None:
    ground.checks = (Check(name="orders", query="selct 1", expect="1"),)
    ground.drill()

    assert ground.row().result is DrillResult.DAMAGED
    assert "syntax error" in ground.row().message


_STEPS = ["drill.stored", "drill.asking", "drill.restored", "drill.checked", "drill.judged", "drill.removed"]
_BEFORE_IT_BEGINS = ("drill.stored", "drill.asking", "begin.called")


@pytest.mark.parametrize("death", [*_STEPS, *DEATHS_OF_A_RESTORE])
def test_whenever_its_process_dies_there_is_one_copy_at_most_and_then_none(
    ground: DrillGround, death: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drills, "failpoint", ground.world.reach)
    ground.world.dies_at = death
    with pytest.raises(SystemExit):
        ground.drill()
    assert len(ground.copies()) <= 1
    assert ground.row().finished_at is None

    outcome = ground.goes_on()

    row = ground.row()
    assert (ground.copies(), len(ground.world.begun)) == ([], int(death not in _BEFORE_IT_BEGINS))
    assert row.finished_at is not None
    wanted = {"drill.stored": DrillResult.MISSED, "drill.asking": DrillResult.ABORTED}
    wanted["begin.called"] = DrillResult.ABORTED
    assert row.result is wanted.get(death, DrillResult.PASSED)
    assert (outcome.result is Result.DONE) is (row.result is DrillResult.PASSED)
    assert ground.goes_on() == outcome  # once it has ended, it has


def test_a_run_that_was_interrupted_too_often_is_given_up_and_torn_down(ground: DrillGround) -> None:
    ground.world.dies_at = "begin.done"
    with pytest.raises(SystemExit):
        ground.drill()
    ground.watches = 5
    ground.goes_on()

    assert (ground.row().result, ground.copies()) == (DrillResult.ABORTED, [])
    assert "interrupted too often" in ground.row().message


def test_the_deadline_is_the_first_one_after_a_crash_as_well(ground: DrillGround) -> None:
    ground.world.course.takes = 3 * HOUR
    ground.world.dies_at = "begin.done"
    with pytest.raises(SystemExit):
        ground.drill()
    ground.clock.pass_by(hours=3, minutes=59)
    ground.world.dark_until = ground.clock() + timedelta(minutes=5)
    ground.goes_on()

    assert ground.row().result is DrillResult.FAILED
    assert ground.copies() == []
