"""The turns of a layer: when each begins, and whose it is. Pure.

The trap: every boundary is computed from the anchor by its number, never from the boundary before it, so that no clock
change moves those that follow. Boundaries go strictly forward: a turn that a clock change leaves no time is not there.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from math import gcd
from zoneinfo import ZoneInfo

from bot.core.rota import Layer, Together, Turn, TurnUnit, WeeklyHours
from bot.lib.time_windows import first_instant
from bot.oncall.local_time import MINUTES_OF_A_DAY, instant_on
from bot.oncall.spans import LayerSpan, Span, merged

_WEEK = 7 * MINUTES_OF_A_DAY
_DAYS_OF_A_WEEK, _MONTHS = 7, 12
#: No clock was ever moved by more: a zone that changes sides of the date line skips a day.
_LONGEST_JUMP = timedelta(days=1)


def turns(layer: Layer, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[LayerSpan]:
    """The turns of a layer that overlap that time, uncut, in order. The hours of `only` are not taken out of them."""
    since = max(since, layer.since) if layer.since else since
    until = min(until, layer.until) if layer.until else until
    if layer.turn is None:
        if since < until:
            yield LayerSpan(since, until, layer.members[0])
        return
    assert layer.anchor is not None, f"the turns of {layer.name} begin at no day"
    number = _number_before(layer.turn, layer.anchor, zone, since)
    boundary, member = boundaries_of(layer.turn, layer.anchor, zone), members_of(layer)
    start = boundary(number)
    while start < until:
        end = boundary(number + 1)
        if max(start, since) < min(end, until):
            yield LayerSpan(_after(start, layer.since), _before(end, layer.until), member(number))
        start, number = end, number + 1


def hours(only: tuple[WeeklyHours, ...], zone: ZoneInfo, since: datetime, until: datetime) -> list[Span]:
    """When those hours are, for all days that overlap that time, in order."""
    first, last = (since - _LONGEST_JUMP).astimezone(zone).date(), until.astimezone(zone).date()
    found = []
    for number in range(first.toordinal() - 1, last.toordinal() + 1):
        day = date.fromordinal(number)
        for one in only:
            if day.weekday() in one.days:
                start, end = instant_on(day, one.begin, zone), instant_on(day, last_minute(one), zone)
                if start < end:
                    found.append(Span(start, end))
    return merged(found)


def last_minute(one: WeeklyHours) -> int:
    """Its end, in minutes after the midnight of the day on which it begins."""
    return one.end if one.end > one.begin else one.end + MINUTES_OF_A_DAY


def boundaries_of(turn: Turn, anchor: date, zone: ZoneInfo) -> Callable[[int], datetime]:
    """The instant at which the turn with that number begins; the number of the first one is 0."""
    if turn.unit is TurnUnit.HOUR and turn.elapsed:
        first = first_instant(datetime.combine(anchor, turn.at), zone)
        return lambda number: first + number * timedelta(hours=turn.every)
    local = local_boundaries(turn, anchor)
    return lambda number: first_instant(local(number), zone)


def local_boundaries(turn: Turn, anchor: date) -> Callable[[int], datetime]:
    """As `boundaries_of`, on the clock of the wall, which may have no such time or have it twice. Naive."""
    first = datetime.combine(anchor, turn.at)
    if turn.unit is TurnUnit.HOUR:
        return lambda number: first + number * timedelta(hours=turn.every)
    if turn.unit is TurnUnit.DAY:
        return lambda number: first + number * timedelta(days=turn.every)
    if turn.unit is TurnUnit.WEEK:
        offsets = week_offsets(turn, anchor)

        def of_week(number: int) -> datetime:
            week, which = divmod(number, len(offsets))
            return first + timedelta(days=week * turn.every * _DAYS_OF_A_WEEK + offsets[which])

        return of_week
    day = turn.on[0] if turn.on else anchor.day

    def of_month(number: int) -> datetime:
        years, month = divmod(anchor.month - 1 + number * turn.every, _MONTHS)
        return datetime.combine(day_of_month(anchor.year + years, month + 1, day), turn.at)

    return of_month


def day_of_month(year: int, month: int, day: int) -> date:
    """That day, or the last one of a month that is shorter."""
    return date(year, month, min(day, monthrange(year, month)[1]))


def week_offsets(turn: Turn, anchor: date) -> tuple[int, ...]:
    """The weekdays on which turns begin, as days after the anchor, which is one of them."""
    return tuple(sorted((day - anchor.weekday()) % _DAYS_OF_A_WEEK for day in turn.on or (anchor.weekday(),)))


def members_of(layer: Layer) -> Callable[[int], Together]:
    """Who is on call in the turn with that number."""
    each = layer.turn.per_member if layer.turn else 1
    count = _counted(layer)
    return lambda number: layer.members[count(number) // each % len(layer.members)]


def _counted(layer: Layer) -> Callable[[int], int]:
    """How many turns before that one count. Which of them have hours repeats with the weeks."""
    turn = layer.turn
    if turn is None or layer.counts_excluded_days or not layer.only or turn.unit is TurnUnit.MONTH:
        return lambda number: number
    counted = [0]
    for number in range(cycle_of(turn)):
        counted.append(counted[-1] + has_hours(layer, number))
    cycle, total = len(counted) - 1, counted[-1]
    return lambda number: number // cycle * total + counted[number % cycle]


def cycle_of(turn: Turn) -> int:
    """After how many turns they begin at the same times of the week again."""
    if turn.unit is TurnUnit.WEEK:
        return max(len(turn.on), 1)
    length = turn.every * (60 if turn.unit is TurnUnit.HOUR else MINUTES_OF_A_DAY)
    return _WEEK // gcd(length, _WEEK)


def has_hours(layer: Layer, number: int) -> bool:
    """Whether any of the layer's hours is within the turn with that number, on the clock of the wall."""
    assert layer.turn is not None
    assert layer.anchor is not None
    local = local_boundaries(layer.turn, layer.anchor)
    start, end = local(number), local(number + 1)
    monday = datetime.combine(start.date() - timedelta(days=start.weekday()), time())
    begin, length = (start - monday) // timedelta(minutes=1), (end - start) // timedelta(minutes=1)
    return any(
        begin < day * MINUTES_OF_A_DAY + last_minute(one) + weeks * _WEEK
        and day * MINUTES_OF_A_DAY + one.begin + weeks * _WEEK < begin + length
        for one in layer.only
        for day in one.days
        for weeks in range(-1, length // _WEEK + 2)
    )


def _number_before(turn: Turn, anchor: date, zone: ZoneInfo, since: datetime) -> int:
    """The number of a turn that begins at or before that instant, or 0; a few too early does no harm."""
    passed = (since - _LONGEST_JUMP).astimezone(zone).replace(tzinfo=None) - datetime.combine(anchor, turn.at)
    if turn.unit is TurnUnit.HOUR:
        number = passed // timedelta(hours=turn.every)
    elif turn.unit is TurnUnit.DAY:
        number = passed // timedelta(days=turn.every)
    elif turn.unit is TurnUnit.WEEK:
        number = passed // timedelta(weeks=turn.every) * max(len(turn.on), 1)
    else:
        at = since.astimezone(UTC)
        number = ((at.year - anchor.year) * _MONTHS + at.month - anchor.month) // turn.every - 1
    return max(number - 1, 0)


def _after(start: datetime, since: datetime | None) -> datetime:
    return start if since is None else max(start, since)


def _before(end: datetime, until: datetime | None) -> datetime:
    return end if until is None else min(end, until)
