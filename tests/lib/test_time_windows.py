"""Weekly windows in local time: at clock changes, over midnight, and over the end of the week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.lib import time_windows

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Asia/Kolkata")
SINCE, UNTIL = datetime(2024, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def changes(name: str) -> list[datetime]:
    """The instants from 2024 to 2030 at which that zone's clocks were changed, found day by day, then by minutes."""
    zone, found, at = time_windows.zone(name), [], SINCE
    while at < UNTIL:
        later = at + timedelta(days=1)
        if at.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset():
            minute = (at + timedelta(minutes=n) for n in range(1, 24 * 60 + 1))
            before = at.astimezone(zone).utcoffset()
            found.append(next(one for one in minute if one.astimezone(zone).utcoffset() != before))
        at = later
    return found


CHANGES = [(name, at) for name in ZONES for at in changes(name)]


def minute_of(at: datetime, window: time_windows.WeeklyWindow) -> int:
    local = at.astimezone(window.zone)
    return local.hour * 60 + local.minute


def test_there_are_changes_to_test_with() -> None:
    assert len(CHANGES) > 60
    assert {name for name, _ in CHANGES} == set(ZONES) - {"Asia/Kolkata"}


SPANS = st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda span: span[0] != span[1])
NEAR = st.integers(-26 * 60, 26 * 60).map(lambda minutes: timedelta(minutes=minutes))


def written(span: tuple[int, int], name: str) -> str:
    begin, end = (f"{minutes // 60:02}:{minutes % 60:02}" for minutes in span)
    return f"{begin}-{end} {name}"


@given(st.sampled_from(CHANGES), SPANS, NEAR)
def test_a_window_that_is_open_ends_later_and_stays_open_until_then(
    change: tuple[str, datetime], span: tuple[int, int], near: timedelta
) -> None:
    window, now = time_windows.parse_window(written(span, change[0])), change[1] + near

    end = window.closes_at(now)

    if end is None:
        return
    assert now < end <= now + timedelta(hours=26)
    assert window.closes_at(end - timedelta(seconds=1)) == end
    assert window.closes_at(now + (end - now) / 2) == end


@given(st.sampled_from(CHANGES), SPANS, NEAR)
def test_where_no_clock_was_changed_it_is_open_exactly_by_the_clock_on_the_wall(
    change: tuple[str, datetime], span: tuple[int, int], near: timedelta
) -> None:
    window, now = time_windows.parse_window(written(span, change[0])), change[1] + near
    begin, end = span
    day = timedelta(days=1)
    if now.astimezone(window.zone).utcoffset() != (now - day).astimezone(window.zone).utcoffset():
        return  # A window of yesterday may have seen the change; the other tests say what holds then.
    minute = minute_of(now, window)
    if (now + day).astimezone(window.zone).utcoffset() != now.astimezone(window.zone).utcoffset():
        return

    by_the_clock = begin <= minute < end if begin < end else minute >= begin or minute < end

    assert (window.closes_at(now) is not None) is by_the_clock


@given(st.sampled_from(CHANGES), SPANS)
def test_on_the_day_of_a_change_it_opens_once_and_closes_once(
    change: tuple[str, datetime], span: tuple[int, int]
) -> None:
    """Within the 24 hours around a change, minute by minute, no window flickers."""
    window = time_windows.parse_window(written(span, change[0]))
    around = [change[1] + timedelta(minutes=n) for n in range(-720, 721, 5)]

    open_now = [window.closes_at(at) is not None for at in around]

    flips = sum(one != other for one, other in pairwise(open_now))
    assert flips <= 3  # At most: an end, a begin, an end.


KNOWN = {
    "begins in the gap: at its end": ("02:30-05:00 Europe/Berlin", "2026-03-29T01:00", "2026-03-29T03:00"),
    "ends in the gap: at its end": ("01:00-02:30 Europe/Berlin", "2026-03-29T00:30", "2026-03-29T01:00"),
    "begins in the overlap: at the first": ("02:30-05:00 Europe/Berlin", "2026-10-25T00:30", "2026-10-25T04:00"),
    "ends in the overlap: at the first": ("01:00-02:30 Europe/Berlin", "2026-10-25T00:15", "2026-10-25T00:30"),
    "over midnight and the gap": ("22:00-06:00 Europe/Berlin", "2026-03-28T21:00", "2026-03-29T04:00"),
    "over midnight and the overlap": ("22:00-06:00 Europe/Berlin", "2026-10-24T20:00", "2026-10-25T05:00"),
    "half an hour of Lord Howe": ("01:45-04:00 Australia/Lord_Howe", "2026-04-04T14:45", "2026-04-04T17:30"),
    "a midnight that does not exist": ("Sun 00:00-01:30 America/Santiago", "2026-09-06T04:00", "2026-09-06T04:30"),
    "a night of Sunday in Monday": ("Sun 22:00-06:00 UTC", "2026-11-23T05:59", "2026-11-23T06:00"),
    "till midnight": ("Mon 18:00-24:00 UTC", "2026-11-23T23:59", "2026-11-24T00:00"),
}


@pytest.mark.parametrize(("said", "now", "end"), KNOWN.values(), ids=KNOWN.keys())
def test_it_ends_when_the_clock_on_the_wall_says_so(said: str, now: str, end: str) -> None:
    assert time_windows.parse_window(said).closes_at(utc(now)) == utc(end)


CLOSED = {
    "a gap is skipped": ("02:10-02:50 Europe/Berlin", "2026-03-29T01:00"),
    "the second of the overlap": ("01:00-02:30 Europe/Berlin", "2026-10-25T01:15"),
    "before the end of the gap": ("02:30-05:00 Europe/Berlin", "2026-03-29T00:59"),
    "the end itself": ("09:00-18:00 UTC", "2026-11-23T18:00"),
    "a night of Sunday on Sunday morning": ("Sun 22:00-06:00 UTC", "2026-11-22T05:00"),
    "a night of Sunday on Monday evening": ("Sun 22:00-06:00 UTC", "2026-11-23T22:00"),
}


@pytest.mark.parametrize(("said", "now"), CLOSED.values(), ids=CLOSED.keys())
def test_it_is_closed(said: str, now: str) -> None:
    assert time_windows.parse_window(said).closes_at(utc(now)) is None
    assert time_windows.open_until((time_windows.parse_window(said),), utc(now)) is None
    assert not time_windows.is_open((time_windows.parse_window(said),), utc(now))


def test_windows_that_follow_on_one_another_end_with_the_last() -> None:
    windows = time_windows.parse_window("Fri 09:00-24:00 UTC"), time_windows.parse_window("Sat 00:00-12:00 UTC")

    assert time_windows.open_until(windows, utc("2026-11-27T10:00")) == utc("2026-11-28T12:00")


@given(st.datetimes(SINCE.replace(tzinfo=None), UNTIL.replace(tzinfo=None), timezones=st.just(UTC)))
def test_what_never_closes_is_open_for_good(now: datetime) -> None:
    end = time_windows.open_until((time_windows.parse_window("00:00-24:00 Europe/Berlin"),), now)

    assert end is not None
    assert time_windows.has_no_end(now, end)


@given(st.sampled_from(CHANGES), NEAR)
def test_a_moment_that_is_written_by_the_wall_is_that_moment_or_the_next_that_exists(
    change: tuple[str, datetime], near: timedelta
) -> None:
    name, zone = change[0], time_windows.zone(change[0])
    local = ((change[1] + near).astimezone(zone)).replace(tzinfo=None)

    found = time_windows.parse_moment(f"{local.isoformat(' ')} {name}")

    assert found.astimezone(zone).replace(tzinfo=None) == local
    assert found <= change[1] + near  # Of a time that comes twice, the first.


@given(st.sampled_from(CHANGES), st.integers(0, 59))
def test_a_moment_in_a_gap_is_the_gaps_end(change: tuple[str, datetime], minute: int) -> None:
    name, at = change
    zone = time_windows.zone(name)
    before, after = ((at - timedelta(minutes=1)).astimezone(zone), at.astimezone(zone))
    local = before.replace(tzinfo=None) + timedelta(minutes=1 + minute)
    if local >= after.replace(tzinfo=None):
        return  # No gap, or past its end.

    assert time_windows.parse_moment(f"{local.isoformat(' ')} {name}") == at
