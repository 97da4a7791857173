"""Turns compared with another renderer: the same rotation, written here as recurring events of RFC 5545.

Each member is one event that recurs on the clock of the wall; what `recurring-ical-events` makes of them has to be what
we render. Handoffs are at hours that exist once on every day: of others the two are known to differ, as RFC 5545 reads
a skipped time by the offset before it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import icalendar
import pytest
import recurring_ical_events  # type: ignore[import-untyped]  # it has no types
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.rota import Layer, Turn, TurnUnit, WeeklyHours
from bot.lib.time_windows import zone
from bot.oncall.rendering import render
from tests.oncall.calendars import events
from tests.oncall.test_turns import ZONES
from tests.oncall.written import rota

_FREQUENCY = {TurnUnit.DAY: "DAILY", TurnUnit.WEEK: "WEEKLY", TurnUnit.MONTH: "MONTHLY"}
_PEOPLE = ("ana", "bo", "cy", "dora", "eve")
Boundaries = list[tuple[datetime, str]]


def ical_of(layer: Layer, zone_name: str, length: timedelta) -> icalendar.Calendar:
    """One recurring event for each turn of the cycle of members."""
    assert layer.turn is not None
    assert layer.anchor is not None
    turn, where = layer.turn, zone(zone_name)
    calendar = icalendar.Calendar()
    cycle = len(layer.members) * turn.per_member
    for number in range(cycle):
        begin = datetime.combine(layer.anchor, turn.at)
        if turn.unit is TurnUnit.MONTH:
            months = layer.anchor.month - 1 + number * turn.every
            begin = begin.replace(year=layer.anchor.year + months // 12, month=months % 12 + 1)
        else:
            begin += number * turn.every * (timedelta(weeks=1) if turn.unit is TurnUnit.WEEK else timedelta(days=1))
        event = icalendar.Event()
        event.add("uid", f"{number}")
        event.add("summary", layer.members[number // turn.per_member][0])
        event.add("dtstart", begin.replace(tzinfo=where))
        event.add("dtend", (begin + length).replace(tzinfo=where))
        event.add("rrule", {"freq": _FREQUENCY[turn.unit], "interval": turn.every * cycle})
        calendar.add_component(event)
    return calendar


def theirs(calendar: icalendar.Calendar, since: datetime, until: datetime) -> Boundaries:
    found = events(recurring_ical_events.of(calendar).between(since, until))
    return sorted((one.start, one.summary) for one in found)


def ours(layer: Layer, zone_name: str, since: datetime, until: datetime) -> Boundaries:
    return [(one.start, one.people[0]) for one in render(rota(layer, in_zone=zone_name), since, until)]


def changes_of_people(boundaries: Boundaries) -> Boundaries:
    """Without those at which the same person goes on."""
    return [one for at, one in enumerate(boundaries) if at == 0 or boundaries[at - 1][1] != one[1]]


@st.composite
def rotations(draw: st.DrawFn) -> tuple[Layer, str]:
    unit = draw(st.sampled_from(list(_FREQUENCY)))
    turn = Turn(
        unit=unit,
        every=draw(st.integers(1, 3)),
        at=time(draw(st.integers(5, 22)), draw(st.sampled_from((0, 15, 30)))),
        per_member=draw(st.integers(1, 3)),
    )
    anchor = date(2020, 1, 1) + timedelta(days=draw(st.integers(0, 365 * 18)))
    anchor = anchor.replace(day=min(anchor.day, 28))
    members = tuple((one,) for one in _PEOPLE[: draw(st.integers(1, 5))])
    return Layer(name="turns", members=members, turn=turn, anchor=anchor), draw(st.sampled_from(ZONES))


def _agree(made: tuple[Layer, str], days: int) -> None:
    layer, zone_name = made
    assert layer.anchor is not None
    since = datetime.combine(layer.anchor, time(), tzinfo=UTC) - timedelta(days=2)
    until = since + timedelta(days=days)
    # An hour is too short for two turns to overlap: their ends are ours to derive, and only begins are compared.
    calendar = ical_of(layer, zone_name, timedelta(hours=1))

    assert changes_of_people(ours(layer, zone_name, since, until)) == changes_of_people(theirs(calendar, since, until))


@settings(max_examples=15)
@given(rotations())
def test_turns_begin_when_another_renderer_says(made: tuple[Layer, str]) -> None:
    _agree(made, 200)


@pytest.mark.slow
@settings(max_examples=300)
@given(rotations())
def test_turns_begin_when_another_renderer_says_over_years(made: tuple[Layer, str]) -> None:
    _agree(made, 800)


@pytest.mark.parametrize("zone_name", ZONES)
def test_hours_of_a_week_are_those_of_another_renderer(zone_name: str) -> None:
    """Weekdays from 09:00 to 17:30, and nights from Saturday on, over two years of clock changes."""
    day = WeeklyHours(days=frozenset(range(5)), begin=9 * 60, end=17 * 60 + 30)
    night = WeeklyHours(days=frozenset({5}), begin=22 * 60, end=6 * 60)
    layer = Layer(name="hours", members=(("ana",),), only=(day, night))
    since, until = datetime(2021, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
    calendar = icalendar.Calendar()
    for begin, end, days in (("09:00", "17:30", "MO,TU,WE,TH,FR"), ("22:00", "06:00", "SA")):
        first = datetime.fromisoformat(f"2020-12-{28 if days != 'SA' else 26}T{begin}").replace(tzinfo=zone(zone_name))
        last = datetime.combine(first.date() + timedelta(days=end < begin), time.fromisoformat(end), first.tzinfo)
        event = icalendar.Event()
        event.add("uid", days)
        event.add("summary", "ana")
        event.add("dtstart", first)
        event.add("dtend", last)
        event.add("rrule", {"freq": "WEEKLY", "byday": days.split(",")})
        calendar.add_component(event)

    margin = timedelta(days=3)
    found = events(recurring_ical_events.of(calendar).between(since, until))
    read = sorted((one.start, one.end) for one in found)
    shifts = [(one.start, one.end) for one in render(rota(layer, in_zone=zone_name), since, until)]

    assert [one for one in shifts if since + margin < one[0] < until - margin] == [
        one for one in read if since + margin < one[0] < until - margin
    ]
    assert len(shifts) > 600
