"""What a person types behind `restore <store>`, resolved against what there is, or refused with what there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.backups.restore_points import PointRequest, ResolvedPoint, moment_of, resolve
from bot.core.backup import Backup, Continuity, Inventory, RestorePoint, Window
from bot.core.errors import Rejected

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_MONDAY = Backup(id="20261122-020000F", data_at=NOW - timedelta(hours=34), finished_at=NOW - timedelta(hours=33))
_TUESDAY = Backup(id="20261123-020000F", data_at=NOW - timedelta(hours=10), finished_at=NOW - timedelta(hours=9))
_BROKEN = Backup(id="20261123-080000F", data_at=NOW - timedelta(hours=4), problem="3 segments of WAL are lost.")
DUMPS = Inventory(backups=(_BROKEN, _TUESDAY, _MONDAY))
WINDOW = Window(earliest=NOW - timedelta(days=7), latest=NOW - timedelta(minutes=4))
LOG = Inventory(backups=(_TUESDAY, _MONDAY), window=WINDOW, continuity=Continuity(ok_until=WINDOW.latest))


def resolved(backup: str = "", at: str = "", *, there: Inventory = DUMPS, latest: bool = False) -> ResolvedPoint:
    return resolve(PointRequest(backup=backup, moment=at, latest=latest), there, NOW)


def refusal(backup: str = "", at: str = "", *, there: Inventory = DUMPS) -> str:
    with pytest.raises(Rejected) as refused:
        resolved(backup, at, there=there)
    assert refused.value.message.endswith("Nothing was done.")
    return refused.value.message


@pytest.mark.parametrize("typed", ["", "now", "latest", "Latest", " NOW "])
def test_now_is_the_newest_and_never_a_moment(typed: str) -> None:
    """PostgreSQL fails when it is told to stop after its last transaction."""
    assert resolved(at=typed, there=LOG).point == RestorePoint(latest=True)
    assert resolved(at=typed).point == RestorePoint(backup_id=_TUESDAY.id)


def test_a_newer_backup_that_is_not_usable_is_passed_over_and_said() -> None:
    assert resolved().notes == ("A newer backup, 20261123-080000F, is not usable: 3 segments of WAL are lost.",)


def test_a_moment_in_the_future_is_refused_with_the_window() -> None:
    assert refusal(at="2026-11-23 12:01 UTC", there=LOG) == (
        "2026-11-23 12:01 UTC is in the future. Any moment from 2026-11-16 12:00 UTC to 2026-11-23 11:56 UTC can be "
        "restored. `latest` is the newest. Nothing was done."
    )


def test_a_moment_that_the_log_has_not_reached_is_refused_with_the_window_and_latest() -> None:
    message = refusal(at="2026-11-23 11:58 UTC", there=LOG)

    assert "2026-11-23 11:58 UTC is after what can be restored." in message
    assert "`latest` is the newest." in message


def test_a_moment_before_the_window_is_refused_with_it() -> None:
    assert "is before what can be restored. Any moment from 2026-11-16" in refusal(at="2026-11-01T00:00:00Z", there=LOG)


@pytest.mark.parametrize("at", [WINDOW.earliest, WINDOW.latest])
def test_both_ends_of_the_window_can_be_restored(at: datetime) -> None:
    assert resolved(at=at.isoformat(), there=LOG).point == RestorePoint(at=at)


def test_a_moment_between_two_backups_is_the_newest_before_it_and_it_is_said() -> None:
    found = resolved(at="2026-11-23 11:00 UTC")

    assert found.point == RestorePoint(backup_id=_TUESDAY.id)
    assert found.data_at == _TUESDAY.data_at
    (note,) = found.notes
    assert note == (
        "This store has no restore to a point in time: 20261123-020000F is its newest usable backup before 2026-11-23 "
        "11:00 UTC, and has the data of 2026-11-23 02:00 UTC."
    )


def test_a_moment_before_all_backups_is_refused_with_those_that_there_are() -> None:
    message = refusal(at="2026-11-01 00:00 UTC")

    assert message.startswith(
        "No usable backup is as old as 2026-11-01 00:00 UTC. Usable: 20261123-020000F (2026-11-23 02"
    )


def test_a_moment_behind_a_gap_of_the_log_is_refused_with_the_gap_and_where_it_ends() -> None:
    gap = Continuity(ok_until=NOW - timedelta(hours=2), gap="3 segments lost since 10:00 UTC")
    there = Inventory(backups=LOG.backups, window=WINDOW, continuity=gap)

    assert refusal(at="2026-11-23 11:00 UTC", there=there) == (
        "2026-11-23 11:00 UTC cannot be reached: the log has a gap (3 segments lost since 10:00 UTC). It is whole "
        "until 2026-11-23 10:00 UTC. Nothing was done."
    )
    assert resolved(at="2026-11-23 09:59 UTC", there=there).point.at is not None
    assert "the copy ends before it" in resolved(there=there).notes[0]


def test_a_backup_that_is_not_usable_is_refused_with_its_problem() -> None:
    assert refusal(_BROKEN.id).startswith(
        "Backup 20261123-080000F cannot be restored: 3 segments of WAL are lost. Usable: 20261123-020000F"
    )


def test_a_backup_is_named_by_its_whole_id_or_by_the_beginning_of_only_one() -> None:
    assert resolved("20261123-02").point.backup_id == _TUESDAY.id
    assert "More than one backup begins with '20261123'" in refusal("20261123")
    longer = Backup(id=f"{_TUESDAY.id}_20261123-080000D", data_at=NOW - timedelta(hours=4))
    both = Inventory(backups=(longer, _TUESDAY))
    assert resolved(_TUESDAY.id, there=both).point.backup_id == _TUESDAY.id, (
        "an incremental is called after its full one"
    )


def test_an_unknown_backup_is_refused_with_what_was_probably_meant() -> None:
    assert "There is no backup '20261123-020001F'. Did you mean `20261123-020000F`?" in refusal("20261123-020001F")


def test_damage_that_a_backup_carries_is_said() -> None:
    bad = Backup(id="b1", data_at=NOW - timedelta(hours=1), damage="2 pages are corrupt")

    assert resolved("b1", there=Inventory(backups=(bad,))).notes == ("Backup b1 is not whole: 2 pages are corrupt.",)


def test_a_store_as_it_stands_may_not_be_restorable_at_all() -> None:
    there = Inventory(backups=LOG.backups, blockers=("Versioning of the bucket is off.",))

    assert refusal(there=there) == (
        "Nothing can be restored as the store stands: Versioning of the bucket is off. Nothing was done."
    )


def test_without_any_backup_it_is_said() -> None:
    assert refusal(there=Inventory()) == "There is no usable backup. There is none of any kind. Nothing was done."
    assert "The newest of any kind, 20261123-080000F, is not: 3 segm" in refusal(there=Inventory(backups=(_BROKEN,)))


def test_two_points_at_once_are_refused() -> None:
    assert refusal("b1", "2026-11-23 11:00 UTC") == (
        "Type one of `latest`, `from <backup>` and `at <time>`. Nothing was done."
    )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-11-23T10:30:00Z", "2026-11-23 10:30:00"),
        ("2026-11-23 11:30:15 Europe/Berlin", "2026-11-23 10:30:15"),
        ("11:30 Europe/Berlin", "2026-11-23 10:30:00"),
        ("11:30 UTC", "2026-11-23 11:30:00"),
        ("9:05Z", "2026-11-23 09:05:00"),
        ("09:05:30 +02:00", "2026-11-23 07:05:30"),
        ("  11:30   UTC ", "2026-11-23 11:30:00"),
    ],
)
def test_times_as_people_type_them(typed: str, meant: str) -> None:
    assert f"{moment_of(typed, NOW):%Y-%m-%d %H:%M:%S}" == meant


def test_a_time_of_yesterday_evening_is_meant_in_the_morning_and_stays_the_same_past_midnight() -> None:
    night = datetime(2026, 11, 23, 0, 5, tzinfo=UTC)

    assert (
        moment_of("23:55 UTC", night)
        == moment_of("23:55 UTC", night - timedelta(minutes=7))
        == night - timedelta(minutes=10)
    )


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("12:30 UTC", "12:30 UTC is in the future today. If you mean an earlier day, type its date"),
        ("14:30", "14:30 of which time zone? Type `at 14:30 UTC`"),
        ("25:10 UTC", "25:10 is not a time of day."),
        ("11:30 Europe/Berln", "'Europe/Berln' names no time zone; write one of IANA's"),
        ("2026-11-23 11:30 Mars/Base", "'Mars/Base' names no time zone"),
        ("2026-11-23 11:30", "2026-11-23 11:30 of which time zone? Type `at 2026-11-23 11:30 UTC`"),
        ("2026-02-30T10:00:00Z", "is not a time. Type `at 2026-11-27T14:30:00Z`"),
        ("two hours back", "'two hours back' is not a time."),
        ("2h ago", "'2h ago' moves while the plan waits. It is `at 2026-11-23 10:00 UTC` now: type that."),
        ("1d 2h ago", "It is `at 2026-11-22 10:00 UTC` now"),
    ],
)
def test_what_is_no_time_or_is_ambiguous_is_refused_with_what_to_type(typed: str, said: str) -> None:
    with pytest.raises(Rejected) as refused:
        moment_of(typed, NOW)

    assert said in refused.value.message


def test_a_time_of_day_in_a_zone_keeps_its_clock_change() -> None:
    """On 2026-10-25 Berlin's 02:30 comes twice; the first counts, as everywhere."""
    after = datetime(2026, 10, 25, 6, 0, tzinfo=UTC)

    assert moment_of("02:30 Europe/Berlin", after) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_moment_in_utc_or_a_refusal(typed: str) -> None:
    try:
        found = moment_of(typed, NOW)
    except Rejected:
        return
    assert found.utcoffset() == timedelta(0)
