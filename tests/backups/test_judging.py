"""What is said of a store: usable or not, on time, complete, drilled; never ok by what is not known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.backups import judging, looking
from bot.backups.judging import Fault, StoreReport, Verdict
from bot.core.backup import (
    Backup,
    BackupStore,
    Continuity,
    Drill,
    DrillResult,
    DrillRules,
    Inventory,
    StoreLook,
    Window,
)
from tests.backups.stores import DAY, HOUR, backup, drill, look, reader, store
from tests.house import NOON

_MINUTE = timedelta(minutes=1)
_DRILLED = (drill(),)


def judged(
    seen: StoreLook | None, drills: tuple[Drill, ...] = _DRILLED, of: BackupStore | None = None, now: datetime = NOON
) -> StoreReport:
    return judging.judge(of or store(), seen, drills, now)


def faults(report: StoreReport) -> set[Fault]:
    return {one.fault for one in report.findings}


def window(latest: timedelta, **said: Any) -> dict[str, Any]:
    """A window to that long before noon."""
    return {"window": Window(earliest=NOON - DAY, latest=NOON - latest), **said}


def test_a_new_backup_and_a_drill_that_passed_are_ok() -> None:
    report = judged(look(backup(), backup(DAY)))

    assert (report.verdict, report.findings) == (Verdict.OK, ())
    assert report.usable is not None
    assert report.data_age(NOON) == 10 * _MINUTE
    assert (report.rto_median, report.rto_p95) == (HOUR, HOUR)


def test_the_rpo_is_counted_from_the_data_and_not_from_the_end_of_the_backup() -> None:
    report = judged(look(backup(2 * HOUR, finished_at=NOON - _MINUTE)))

    assert faults(report) == {Fault.NOTHING_USABLE}
    (found,) = report.findings
    assert found.text == "The newest data that can be restored is of 2026-11-23 10:00 UTC; RPO 1 h."
    assert found.since == NOON - HOUR
    assert report.verdict is Verdict.RED


def test_a_newer_backup_that_is_not_usable_counts_for_nothing_and_is_told_why() -> None:
    report = judged(look(backup(problem="it was cut off after 3 GB"), backup(2 * HOUR)))

    assert report.newest is not None
    assert report.newest.id == "b-600"
    assert report.findings[0].text.endswith("b-600 of 2026-11-23 11:50 UTC cannot be used: it was cut off after 3 GB.")


@pytest.mark.parametrize(
    ("only", "why"),
    [
        (backup(problem="failed"), "The newest, b-600: failed."),
        (backup(expires_at=NOON), "The newest, b-600: it expired at 2026-11-23 12:00 UTC."),
        (backup(-DAY), "The newest, b--86400: its time is in the future, so a clock is wrong."),
    ],
)
def test_without_a_usable_backup_there_is_nothing_to_restore(only: Backup, why: str) -> None:
    report = judged(look(only))

    assert Fault.NOTHING_USABLE in faults(report)
    assert report.reaches is None
    assert report.findings[0].text == f"No backup can be restored from; RPO 1 h. {why}"


def test_a_look_that_is_in_the_future_is_not_ok_for_as_long_as_it_is() -> None:
    ahead = NOON + DAY
    window_ahead = Window(earliest=NOON - DAY, latest=ahead)
    seen = replace(look(backup(), window=window_ahead), looked_at=ahead, read_at=ahead)

    report = judged(seen)

    assert (report.verdict, report.known) == (Verdict.UNKNOWN, False)
    assert report.findings[0].text.startswith("Its last look is of 2026-11-24 12:00 UTC, in the future")


def test_a_store_that_fails_since_a_moment_in_the_future_fails_since_now() -> None:
    ahead = replace(look(), problem="down", problem_since=NOON + DAY)

    assert looking.failed("prod/orders-db", "down", ahead, NOON).problem_since == NOON


def test_a_blocked_store_has_nothing_to_restore_whatever_its_backups_say() -> None:
    report = judged(look(backup(), blockers=("versioning is off", "the key is disabled.")))

    assert faults(report) == {Fault.NOTHING_USABLE}
    assert report.findings[0].text == ("Nothing can be restored as it stands: versioning is off. the key is disabled.")


def test_with_a_point_in_time_the_newest_moment_of_the_log_counts() -> None:
    report = judged(look(backup(DAY), **window(5 * _MINUTE)))

    assert (report.verdict, report.data_age(NOON)) == (Verdict.OK, 5 * _MINUTE)


def test_a_window_alone_is_enough_as_versioned_buckets_have_no_backups() -> None:
    assert judged(look(**window(timedelta(0)))).verdict is Verdict.OK


def test_a_gap_in_the_log_is_red_and_what_is_behind_it_cannot_be_reached() -> None:
    log = Continuity(ok_until=NOON - 3 * HOUR, gap="3 segments lost since 09:00 UTC")
    report = judged(look(backup(DAY), **window(timedelta(0), continuity=log)))

    assert faults(report) == {Fault.NOTHING_USABLE, Fault.WAL_GAP}
    assert report.reaches == NOON - 3 * HOUR
    assert report.findings[1].text == "The log has a gap: 3 segments lost since 09:00 UTC."


def test_behind_a_gap_of_unknown_extent_only_whole_backups_count() -> None:
    log = Continuity(ok_until=None, gap="a segment is missing")

    assert judged(look(backup(2 * HOUR), **window(timedelta(0), continuity=log))).reaches == NOON - 2 * HOUR


def test_a_backup_after_the_gap_is_reached_all_the_same() -> None:
    log = Continuity(ok_until=NOON - 3 * HOUR, gap="3 segments lost since 09:00 UTC")

    assert judged(look(backup(), **window(timedelta(0), continuity=log))).reaches == NOON - 10 * _MINUTE


def test_a_log_without_a_backup_that_it_goes_on_from_restores_nothing() -> None:
    report = judged(look(continuity=Continuity(ok_until=NOON)), of=reader())

    assert Fault.NOTHING_USABLE in faults(report)


def test_a_moment_after_the_reading_is_never_believed() -> None:
    assert judged(look(**window(-DAY))).reaches == NOON


@pytest.mark.parametrize(("age", "late"), [(36 * HOUR, False), (36 * HOUR + _MINUTE, True)])
def test_by_the_schedule_of_its_system_a_backup_is_late_after_one_and_a_half_intervals(
    age: timedelta,
    late: bool,  # noqa: FBT001
) -> None:
    report = judged(look(backup(age), interval=DAY), of=store(rpo=10 * DAY))

    assert faults(report) == ({Fault.LATE} if late else set())
    assert report.verdict is (Verdict.WARNING if late else Verdict.OK)


def test_without_a_schedule_the_usual_gap_is_the_interval_and_backups_by_hand_do_not_change_it() -> None:
    daily = [backup(2 * DAY + day * DAY) for day in range(8)]
    by_hand = [backup(2 * DAY + number * _MINUTE) for number in range(1, 6)]

    report = judged(
        look(*sorted([*daily, *by_hand], key=lambda one: one.data_at, reverse=True)), of=store(rpo=10 * DAY)
    )

    assert report.interval == DAY
    assert faults(report) == {Fault.LATE}


def test_a_backup_that_failed_is_no_success_and_does_not_make_it_less_late() -> None:
    report = judged(look(backup(problem="failed"), backup(2 * DAY), interval=DAY), of=store(rpo=10 * DAY))

    assert faults(report) == {Fault.LATE}


@pytest.mark.parametrize(("size", "told"), [(49, {Fault.SIZE}), (50, set()), (200, set()), (201, {Fault.SIZE})])
def test_a_backup_of_less_than_half_or_more_than_double_the_usual_size_is_a_warning(
    size: int, told: set[Fault]
) -> None:
    before = [backup(day * DAY, size_bytes=100) for day in range(1, 8)]

    report = judged(look(backup(size_bytes=size), *before))

    assert faults(report) == told
    assert report.size_ratio == size / 100


def test_sizes_are_compared_with_backups_of_the_same_kind() -> None:
    full = [backup(day * DAY, size_bytes=1000, kind="full") for day in range(1, 8)]
    incremental = [backup(number * HOUR / 2, size_bytes=10, kind="incremental") for number in range(1, 5)]

    assert judged(look(*incremental, *full)).verdict is Verdict.OK


def test_a_backup_that_took_twice_as_long_is_a_warning() -> None:
    before = [backup(day * DAY, duration=HOUR) for day in range(1, 4)]

    report = judged(look(backup(duration=3 * HOUR), *before))

    assert faults(report) == {Fault.DURATION}
    assert report.findings[0].text.startswith("b-600 took 300% of the usual time")


def test_damage_of_a_usable_backup_is_told() -> None:
    report = judged(look(backup(damage="2 pages are corrupt")))

    assert (report.verdict, report.findings[0].text) == (Verdict.WARNING, "b-600 is damaged: 2 pages are corrupt.")


def test_a_store_that_cannot_be_read_is_unknown_and_keeps_what_was_known() -> None:
    seen = StoreLook(
        store="prod/orders-db",
        looked_at=NOON,
        inventory=Inventory(backups=(backup(),)),
        read_at=NOON - HOUR,
        problem="db.example does not answer",
        problem_since=NOON - HOUR / 2,
    )

    report = judged(seen)

    assert (report.verdict, report.unknown_since) == (Verdict.UNKNOWN, NOON - HOUR / 2)
    assert report.findings[0].text == "It cannot be read: db.example does not answer."
    assert report.usable is not None


def test_a_store_that_was_not_looked_at_lately_is_unknown_however_good_it_was() -> None:
    report = judged(look(backup()), now=NOON + HOUR + _MINUTE)

    assert (report.verdict, report.unknown_since) == (Verdict.UNKNOWN, NOON)
    assert judged(None).verdict is Verdict.UNKNOWN


def test_a_store_that_never_passed_a_drill_is_red_from_its_first_day() -> None:
    report = judged(look(backup()), drills=())

    assert (report.verdict, faults(report)) == (Verdict.RED, {Fault.NEVER_DRILLED})
    assert report.findings[0].text.startswith("It was never drilled, so nobody knows that it restores")


def test_also_without_a_schedule_of_drills_one_has_to_have_passed() -> None:
    assert judged(look(backup()), (), store(drill=DrillRules())).verdict is Verdict.RED
    assert judged(look(backup()), (drill(900 * DAY),), store(drill=DrillRules())).verdict is Verdict.OK


def test_a_drill_that_runs_or_hangs_is_no_drill_that_passed() -> None:
    report = judged(look(backup()), drills=(drill(result=DrillResult.RUNNING),))

    assert faults(report) == {Fault.NEVER_DRILLED}


@pytest.mark.parametrize("result", [DrillResult.MISSED, DrillResult.ABORTED, DrillResult.RUNNING])
def test_two_intervals_without_a_drill_that_passed_are_red_whatever_the_reason(result: DrillResult) -> None:
    report = judged(look(backup()), drills=(drill(result=result), drill(14 * DAY + _MINUTE)))

    assert faults(report) == {Fault.DRILL_OVERDUE}
    assert judged(look(backup()), drills=(drill(result=result), drill(14 * DAY))).verdict is Verdict.OK


@pytest.mark.parametrize("result", [DrillResult.FAILED, DrillResult.DAMAGED])
def test_a_drill_that_failed_is_red_until_one_has_passed(result: DrillResult) -> None:
    bad = drill(HOUR, result, message="orders: 3 rows are missing")

    report = judged(look(backup()), drills=(bad, drill()))

    assert faults(report) == {Fault.DRILL_FAILED}
    assert report.findings[0].text == f"The last drill {result}: orders: 3 rows are missing."
    assert judged(look(backup()), drills=(drill(), drill(2 * DAY, result))).verdict is Verdict.OK


@pytest.mark.parametrize("result", list(DrillResult))
def test_a_drill_that_is_dated_in_the_future_hides_nothing_that_was_found_since(result: DrillResult) -> None:
    ahead = drill(-400 * DAY, result)

    assert faults(judged(look(backup()), drills=(ahead, drill(15 * DAY)))) == {Fault.DRILL_OVERDUE, Fault.DRILL_AHEAD}
    assert faults(judged(look(backup()), drills=(ahead,))) == {Fault.NEVER_DRILLED, Fault.DRILL_AHEAD}
    assert faults(judged(look(backup()), drills=(ahead, drill(DAY, DrillResult.FAILED), drill(2 * DAY)))) == {
        Fault.DRILL_FAILED,
        Fault.DRILL_AHEAD,
    }
    report = judged(look(backup()), drills=(ahead, drill(DAY)))
    assert (faults(report), report.verdict) == ({Fault.DRILL_AHEAD}, Verdict.WARNING)


def test_a_drill_that_took_longer_than_the_rto_is_red() -> None:
    report = judged(look(backup()), drills=(drill(rto=5 * HOUR),))

    assert faults(report) == {Fault.TOO_SLOW}
    assert report.findings[0].text == "The last drill took 5 h; RTO 4 h."


def test_an_engine_that_only_reads_is_not_blamed_for_missing_drills() -> None:
    report = judged(look(backup()), drills=(), of=reader())

    assert (report.verdict, report.restorable) == (Verdict.OK, False)


def test_the_rto_is_told_by_its_median_and_its_95th_percentile_over_the_drills_that_passed() -> None:
    times = [drill(day * DAY, rto=day * _MINUTE) for day in range(1, 21)]

    report = judged(look(backup()), drills=(drill(HOUR, DrillResult.FAILED, rto=99 * HOUR), *times))

    assert (report.rto_median, report.rto_p95) == (10.5 * _MINUTE, 19 * _MINUTE)


_AGES = st.timedeltas(min_value=timedelta(days=-30), max_value=timedelta(days=30))
_BACKUPS = st.builds(
    backup,
    _AGES,
    problem=st.sampled_from(["", "", "failed"]),
    expires_at=st.none() | _AGES.map(lambda age: NOON - age),
    size_bytes=st.none() | st.integers(0, 10**12),
    duration=st.none() | st.timedeltas(timedelta(0), DAY),
    kind=st.sampled_from(["", "full", "incremental"]),
)
_WINDOWS = st.none() | st.builds(lambda age: Window(earliest=NOON - 90 * DAY, latest=NOON - age), _AGES)
_LOGS = st.none() | st.builds(
    Continuity, ok_until=st.none() | _AGES.map(lambda age: NOON - age), gap=st.sampled_from(["", "lost"])
)
_INVENTORIES = st.builds(
    Inventory,
    backups=st.lists(_BACKUPS, max_size=12).map(tuple),
    window=_WINDOWS,
    continuity=_LOGS,
    blockers=st.sampled_from([(), (), ("versioning is off",)]),
    interval=st.none() | st.timedeltas(timedelta(minutes=1), DAY),
)


@given(_INVENTORIES)
def test_whatever_an_engine_says_what_is_ok_can_be_restored_within_the_rpo(inventory: Inventory) -> None:
    seen = StoreLook(store="prod/orders-db", looked_at=NOON, read_at=NOON, inventory=inventory)

    report = judged(seen)

    if report.verdict is Verdict.OK:
        assert report.reaches is not None
        assert NOON - report.reaches <= HOUR
        assert not inventory.blockers
        assert inventory.continuity is None or not inventory.continuity.gap
    assert report.reaches is None or report.reaches <= NOON
    assert all(one.since is None or one.since <= NOON for one in report.findings if one.fault is Fault.NOTHING_USABLE)


@given(_INVENTORIES, st.timedeltas(timedelta(0), 90 * DAY))
def test_time_that_passes_without_a_new_backup_never_makes_a_store_better(
    inventory: Inventory, later: timedelta
) -> None:
    order = [Verdict.OK, Verdict.WARNING, Verdict.RED]

    def at(now: datetime) -> int:
        seen = StoreLook(store="prod/orders-db", looked_at=now, read_at=NOON, inventory=inventory)
        return order.index(judged(seen, now=now, drills=(drill(NOON - now),)).verdict)

    if any(one.data_at > NOON for one in inventory.backups) or (inventory.window and inventory.window.latest > NOON):
        return  # a moment that was in the future comes
    assert at(NOON) <= at(NOON + later)


def test_ten_thousand_backups_are_judged_in_one_pass() -> None:
    """Against a tenth of them: ten times the backups, and less than thirty times the processor time."""

    def took(count: int) -> float:
        seen = look(*(backup(number * HOUR, size_bytes=number, kind="full") for number in range(count)))
        return min(_seconds(partial(judged, seen)) for _ in range(15))

    took(1000)
    assert took(10_000) < 30 * max(took(1000), 0.001)


def _seconds(work: Callable[[], object]) -> float:
    """Of processor time. The least of several runs says what the work costs, whatever else the machine does."""
    began = process_time()
    work()
    return process_time() - began
