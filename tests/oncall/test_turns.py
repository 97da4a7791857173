"""Turns of layers: whose each is, and that no clock change moves, doubles or loses one."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from itertools import pairwise

import pytest

from bot.core.rota import Turn, TurnUnit, WeeklyHours
from bot.lib.time_windows import zone
from bot.oncall.rendering import render
from bot.oncall.turns import hours, turns
from tests.oncall.written import DAILY, WEEKLY, layer, rota, told, utc

#: Skips of a day, of half an hour and at midnight; clocks set for Ramadan, or back in summer by law; and plain ones.
ZONES = (
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "America/Asuncion",
    "Asia/Beirut",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Europe/Dublin",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Antarctica/Troll",
    "Asia/Tehran",
)
SINCE, UNTIL = utc("2020-01-01"), utc("2041-01-01")
KINDS = {
    "weekly at half past two": Turn(unit=TurnUnit.WEEK, at=time(2, 30), on=(6,)),
    "daily at midnight": Turn(unit=TurnUnit.DAY),
    "monthly on the 31st": Turn(unit=TurnUnit.MONTH, at=time(2, 30), on=(31,)),
    "every 12 hours": Turn(unit=TurnUnit.HOUR, every=12, at=time(2, 30)),
}
SEVEN = Turn(unit=TurnUnit.HOUR, every=7, elapsed=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ZONES)
def test_exactly_one_member_has_each_instant_of_twenty_years(name: str, kind: str) -> None:
    anchor = date(2019, 12, 29) if "weekly" in kind else date(2019, 12, 31)
    people = ("ana", "bo", "cy")

    found = list(turns(layer(*people, turn=KINDS[kind], anchor=anchor), zone(name), SINCE, UNTIL))

    assert found[0].start <= SINCE
    assert found[-1].end >= UNTIL
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(one.start < one.end and len(one.people) == 1 for one in found)


@pytest.mark.parametrize("name", ZONES)
def test_hours_that_meet_leave_no_gap_and_do_not_overlap_over_twenty_years(name: str) -> None:
    whole_week = frozenset(range(7))
    day = hours((WeeklyHours(days=whole_week, begin=150, end=15),), zone(name), SINCE, UNTIL)
    night = hours((WeeklyHours(days=whole_week, begin=15, end=150),), zone(name), SINCE, UNTIL)

    covered = sorted([*day, *night])

    assert covered[0].start <= SINCE
    assert covered[-1].end >= UNTIL
    assert [(a, b) for a, b in pairwise(covered) if a.end != b.start] == []


@pytest.mark.parametrize("name", ZONES)
def test_a_handoff_at_ten_is_at_ten_on_every_day_of_twenty_years(name: str) -> None:
    found = turns(layer("ana", "bo", turn=WEEKLY, anchor=date(2020, 1, 6)), zone(name), SINCE, UNTIL)

    assert {(local.weekday(), local.time()) for one in found if (local := one.start.astimezone(zone(name)))} == {
        (0, time(10))
    }


def test_a_week_over_a_clock_change_is_an_hour_shorter_or_longer() -> None:
    written = rota(layer("ana", "bo"))

    assert told(render(written, utc("2027-03-22 09:00"), utc("2027-04-05 08:00"))) == [
        "03-22 09:00 - 03-29 08:00 ana",
        "03-29 08:00 - 04-05 08:00 bo",
    ]
    assert told(render(written, utc("2027-10-25 08:00"), utc("2027-11-01 12:00")))[0] == "10-25 08:00 - 11-01 09:00 bo"


def test_a_turn_in_the_hour_that_is_skipped_is_not_there_and_the_next_ones_stay() -> None:
    hourly = layer("ana", "bo", "cy", turn=Turn(unit=TurnUnit.HOUR), anchor=date(2026, 3, 29))

    assert told(render(rota(hourly), utc("2026-03-29"), utc("2026-03-29 03:00"))) == [
        "03-29 00:00 - 03-29 01:00 bo",
        "03-29 01:00 - 03-29 02:00 ana",
        "03-29 02:00 - 03-29 03:00 bo",
    ]


def test_hours_on_the_wall_clock_begin_at_the_same_times_and_elapsed_ones_do_not() -> None:
    def starts(*, elapsed: bool) -> list[str]:
        turn = Turn(unit=TurnUnit.HOUR, every=12, at=time(8), elapsed=elapsed)
        found = turns(
            layer("ana", "bo", turn=turn, anchor=date(2026, 10, 24)),
            zone("Europe/Berlin"),
            utc("2026-10-24 06:00"),
            utc("2026-10-25 12:00"),
        )
        return [f"{one.start.astimezone(zone('Europe/Berlin')):%d %H:%M}" for one in found]

    assert starts(elapsed=False) == ["24 08:00", "24 20:00", "25 08:00"]
    assert starts(elapsed=True) == ["24 08:00", "24 20:00", "25 07:00"]


def test_a_month_without_that_day_has_its_last_one() -> None:
    monthly = layer("ana", "bo", turn=Turn(unit=TurnUnit.MONTH, at=time(10), on=(31,)), anchor=date(2026, 12, 31))

    assert told(render(rota(monthly), utc("2027-01-01"), utc("2027-04-01"))) == [
        "01-01 00:00 - 01-31 09:00 ana",
        "01-31 09:00 - 02-28 09:00 bo",
        "02-28 09:00 - 03-31 08:00 ana",
        "03-31 08:00 - 04-01 00:00 bo",
    ]


def test_a_week_can_be_split_at_several_weekdays() -> None:
    twice = layer("ana", "bo", "cy", turn=Turn(unit=TurnUnit.WEEK, at=time(10), on=(4, 0)))

    assert told(render(rota(twice), utc("2026-11-02 09:00"), utc("2026-11-13 09:00"))) == [
        "11-02 09:00 - 11-06 09:00 ana",
        "11-06 09:00 - 11-09 09:00 bo",
        "11-09 09:00 - 11-13 09:00 cy",
    ]


def test_a_member_may_have_several_turns_in_a_row() -> None:
    pairs = layer("ana", "bo", turn=Turn(unit=TurnUnit.DAY, at=time(10), per_member=2))

    assert told(render(rota(pairs), utc("2026-11-02 09:00"), utc("2026-11-07 09:00"))) == [
        "11-02 09:00 - 11-04 09:00 ana",
        "11-04 09:00 - 11-06 09:00 bo",
        "11-06 09:00 - 11-07 09:00 ana",
    ]


WORKDAYS = (WeeklyHours(days=frozenset(range(5)), begin=0, end=24 * 60),)


@pytest.mark.parametrize(("counted", "monday"), [(True, "bo"), (False, "cy")])
def test_days_that_only_removes_count_as_turns_or_do_not(*, counted: bool, monday: str) -> None:
    """Monday to Friday are ana, bo, cy, ana, bo. The weekend is two turns, or none."""
    midnight = Turn(unit=TurnUnit.DAY)
    written = layer("ana", "bo", "cy", turn=midnight, only=WORKDAYS, counts_excluded_days=counted)

    found = render(rota(written, in_zone="UTC"), utc("2026-11-06"), utc("2026-11-10"))

    assert told(found) == ["11-06 00:00 - 11-07 00:00 bo", f"11-09 00:00 - 11-10 00:00 {monday}"]


@pytest.mark.parametrize(
    "turn", [Turn(unit=TurnUnit.DAY, every=3), Turn(unit=TurnUnit.HOUR, every=8), Turn(unit=TurnUnit.WEEK, on=(0, 5))]
)
def test_uncounted_turns_are_those_without_an_hour_for_years(turn: Turn) -> None:
    """The number of turns that count is taken from a pattern of weeks; here each is counted, one by one."""
    written = layer("ana", "bo", "cy", turn=turn, only=WORKDAYS, counts_excluded_days=False)
    until = utc("2028-11-02")
    opened = hours(WORKDAYS, zone("UTC"), utc("2026-10-01"), until)

    counted = 0
    for one in turns(written, zone("UTC"), utc("2026-11-02"), until):
        assert one.people == (("ana", "bo", "cy")[counted % 3],)
        counted += any(open_.start < one.end and one.start < open_.end for open_ in opened)


def test_hours_cross_midnight_and_end_with_the_clock_on_the_wall() -> None:
    nights = (WeeklyHours(days=frozenset({5}), begin=22 * 60, end=6 * 60),)
    written = rota(layer("ana", only=nights, turn=None, anchor=None))

    found = render(written, utc("2026-10-23"), utc("2026-11-02"))

    assert told(found) == ["10-24 20:00 - 10-25 05:00 ana", "10-31 21:00 - 11-01 05:00 ana"]


def test_nothing_is_before_the_anchor_and_a_layer_applies_from_its_begin_to_its_end() -> None:
    old = layer("ana", "bo", name="old", until=utc("2026-11-11 09:00"))
    new = layer("cy", name="new", since=utc("2026-11-11 09:00"))

    assert told(render(rota(old, new), utc("2026-10-01"), utc("2026-11-20"))) == [
        "11-02 09:00 - 11-09 09:00 ana",
        "11-09 09:00 - 11-11 09:00 bo",
        "11-11 09:00 - 11-20 00:00 cy",
    ]


@pytest.mark.parametrize("turn", [*KINDS.values(), SEVEN, DAILY, WEEKLY])
def test_any_instant_is_found_as_it_is_found_from_the_begin(turn: Turn) -> None:
    """Rendering begins near the instant that is asked for, by a division; here at the anchor."""
    anchor = date(2026, 11, 1) if turn.on == (6,) else date(2026, 10, 31) if turn.on == (31,) else date(2026, 11, 2)
    written = layer("ana", "bo", "cy", turn=turn, anchor=anchor)
    where = zone("Australia/Lord_Howe")
    whole = list(turns(written, where, utc("2026-10-01"), utc("2028-11-01")))

    at = datetime.fromisoformat("2026-11-03T01:17+00:00")
    while at < utc("2028-10-01"):
        [found] = turns(written, where, at, at + timedelta(microseconds=1))
        assert found == next(one for one in whole if one.start <= at < one.end)
        at += timedelta(days=11, hours=5)
