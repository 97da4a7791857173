"""Weekly time windows in local time ("Mon-Fri 09:00-18:00 Europe/Berlin"), and moments written with a time zone.

The promise: results are instants in UTC, so a clock change never makes a window open twice or not at all. A local time
that is skipped that day is the next one that exists; of a time that comes twice the first counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_MINUTES_OF_A_DAY = 24 * 60
_LONGEST = timedelta(days=8)  # A window that is open for longer than a week never closes.

FORM = 'must be days, hours and a time zone, such as "Mon-Fri 09:00-18:00 Europe/Berlin"'
MOMENT = "must be a date, a time and a time zone, such as 2026-11-27T00:00:00Z or 2026-11-27 00:00 Europe/Berlin"


class UnknownZone(ValueError):
    """No time zone has that name. `zone`: the name as it was written."""

    def __init__(self, zone: str) -> None:
        super().__init__("names no time zone; write one of IANA's, such as Europe/Berlin")
        self.zone = zone


@dataclass(frozen=True, slots=True)
class WeeklyWindow:
    """`begin` and `end` are minutes after midnight; an end that is no later than the begin is on the next day.

    Windows are equal when their text is: only the text is hashed, which keeps each decision cheap.
    """

    days: frozenset[int] = field(compare=False)  #: the days on which it begins; 0 is Monday
    begin: int = field(compare=False)
    end: int = field(compare=False)
    zone: ZoneInfo = field(compare=False)
    written: str

    def closes_at(self, now: datetime) -> datetime | None:
        """When the window closes that is open now; None when it is closed."""
        today = now.astimezone(self.zone).date()
        for day in (today, today - timedelta(days=1)):
            if day.weekday() in self.days:
                begin, end = _window(self, day)
                if begin <= now < end:
                    return end
        return None


class Opening(NamedTuple):
    """One time that windows are open, in UTC."""

    begin: datetime
    end: datetime


def openings(windows: tuple[WeeklyWindow, ...], since: datetime, until: datetime) -> list[Opening]:
    """When windows are open between two moments, the first one first; those that touch are one.

    A window whose local hours are all skipped that day is open for as long as it is written, from the change on: what
    is done once in each window is not left out because of the clock.
    """
    found = []
    for hours in windows:
        day, last = since.astimezone(hours.zone).date() - timedelta(days=2), until.astimezone(hours.zone).date()
        while day <= last:
            if day.weekday() in hours.days:
                begin, end = _window(hours, day)
                long = (hours.end - hours.begin) % _MINUTES_OF_A_DAY or _MINUTES_OF_A_DAY
                found.append(Opening(begin, end if end > begin else begin + timedelta(minutes=long)))
            day += timedelta(days=1)
    merged: list[Opening] = []
    for one in sorted(found):
        if merged and one.begin <= merged[-1].end:
            merged[-1] = Opening(merged[-1].begin, max(merged[-1].end, one.end))
        else:
            merged.append(one)
    return [one for one in merged if one.end > since and one.begin < until]


def parse_window(written: str) -> WeeklyWindow:
    """Parse a window. The days are a list of days and ranges (Mon,Wed-Fri), may wrap (Sat-Mon), or are left out: all.

    Raises:
        UnknownZone, ValueError: with what is wrong, and without the text itself.
    """
    parts = written.split()
    if len(parts) == len(("hours", "zone")):
        parts.insert(0, "mon-sun")
    if len(parts) != len(("days", "hours", "zone")):
        raise ValueError(FORM)
    days, span, name = parts
    begin, dash, end = span.partition("-")
    if not dash or not _TIME.fullmatch(begin) or not _TIME.fullmatch(end) or begin == "24:00":
        raise ValueError(FORM)
    if begin == end:
        raise ValueError("covers no time; write 00:00-24:00 for whole days")
    return WeeklyWindow(
        days=parse_days(days.lower()), begin=_minutes(begin), end=_minutes(end), zone=zone(name), written=written
    )


def is_open(windows: tuple[WeeklyWindow, ...], now: datetime) -> bool:
    return any(hours.closes_at(now) is not None for hours in windows)


def open_until(windows: tuple[WeeklyWindow, ...], now: datetime) -> datetime | None:
    """When the windows that are open now, and those that follow without a gap, have all closed. None when none is open.

    If they never close, the result is more than a week away.
    """
    end, latest = now, now + _LONGEST
    while end <= latest:
        further = max((until for hours in windows if (until := hours.closes_at(end))), default=None)
        if further is None:
            break
        end = further
    return end if end > now else None


def has_no_end(now: datetime, until: datetime) -> bool:
    """Whether `open_until` found no end."""
    return until - now > _LONGEST


def zone(name: str) -> ZoneInfo:
    """Raises `UnknownZone`."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # The name of a folder of zones, such as Europe, gives an OSError.
        raise UnknownZone(name) from None


def parse_moment(written: str) -> datetime:
    """A moment in UTC: ISO 8601 with its offset, or a date and a time followed by a zone's name.

    Raises:
        UnknownZone, ValueError: with what is wrong, and without the text itself.
    """
    moment, _, name = written.strip().rpartition(" ")
    named = name[:1].isalpha()
    try:
        local = datetime.fromisoformat(moment if named else written.strip())
    except ValueError:
        raise ValueError(MOMENT) from None
    if named == (local.tzinfo is not None):
        raise ValueError(MOMENT)
    try:
        return first_instant(local, zone(name)) if named else local.astimezone(UTC)
    except OverflowError:
        raise ValueError(MOMENT) from None


def parse_days(written: str) -> frozenset[int]:
    """A list of days and ranges in lower case, such as mon,wed-fri; 0 is Monday. Raises `ValueError`."""
    found: set[int] = set()
    for part in written.split(","):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise ValueError(FORM)
        begin = _DAYS.index(first)
        found |= {(begin + n) % 7 for n in range((_DAYS.index(last or first) - begin) % 7 + 1)}
    return frozenset(found)


def _minutes(written: str) -> int:
    return int(written[:2]) * 60 + int(written[3:])


@lru_cache(maxsize=4096)
def _window(hours: WeeklyWindow, day: date) -> tuple[datetime, datetime]:
    """Begin and end of the window that begins on that day."""
    last = hours.end if hours.end > hours.begin else hours.end + _MINUTES_OF_A_DAY
    return _at(day, hours.begin, hours.zone), _at(day, last, hours.zone)


def _at(day: date, minutes: int, where: ZoneInfo) -> datetime:
    days, minutes = divmod(minutes, _MINUTES_OF_A_DAY)
    return first_instant(datetime.combine(day + timedelta(days=days), time(minutes // 60, minutes % 60)), where)


def first_instant(local: datetime, where: ZoneInfo) -> datetime:
    """The naive local time in UTC: of one that comes twice the first, of one that is skipped the instant of the skip.

    The offsets before and after a skip give instants around it, in the wrong order.
    """
    late = local.replace(tzinfo=where, fold=0).astimezone(UTC)
    early = local.replace(tzinfo=where, fold=1).astimezone(UTC)
    if early >= late:
        return late
    after = late.astimezone(where).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        if middle.astimezone(where).utcoffset() == after:
            late = middle
        else:
            early = middle
    return late
