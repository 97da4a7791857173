"""How far apart the times of a cron expression are. Pure.

Of the expressions that Velero and CloudNativePG take (github.com/robfig/cron v3): five fields, or six with the seconds
first, a time zone before them, "@daily" and "@every 6h". The promise: an expression that is not understood has no
interval, never a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise

_EVERY = re.compile(r"(\d+)(h|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_WORDS: Mapping[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_MONTHS = {
    name: number + 1
    for number, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"))
}
_DAY_MINUTES = 24 * 60
#: A leap year and what follows it: every yearly expression comes twice.
_FIRST, _LOOKED_AT = date(2024, 1, 1), 1500


@lru_cache(maxsize=256)
def longest_gap(expression: str) -> timedelta | None:
    """The longest time between two times of it; None for one that is not understood, or never comes."""
    words = [one for one in expression.split() if not one.startswith(("CRON_TZ=", "TZ="))]
    if words[:1] == ["@every"]:
        return _every("".join(words[1:]))
    words = _WORDS.get(words[0], "").split() or words if words else words
    words = words[1:] if len(words) == 6 else words  # noqa: PLR2004 (with the seconds)
    try:
        minutes, hours, days, months, weekdays = (
            _field(word, least, most, names)
            for word, (least, most, names) in zip(
                words, ((0, 59, {}), (0, 23, {}), (1, 31, {}), (1, 12, _MONTHS), (0, 7, _DAYS)), strict=True
            )
        )
    except ValueError:
        return None
    free = (words[2][0] in "*?", words[4][0] in "*?")
    fires = [hour * 60 + minute for hour in sorted(hours) for minute in sorted(minutes)]
    coming = (_FIRST + timedelta(days=number) for number in range(_LOOKED_AT))
    dates = [one for one in coming if one.month in months and _on(one, days, {day % 7 for day in weekdays}, free)]
    return _longest(fires, dates)


def _longest(fires: list[int], dates: list[date]) -> timedelta | None:
    if len(dates) <= 1:
        return None
    within = [after - before for before, after in pairwise(fires)]
    over = _DAY_MINUTES * max((after - before).days for before, after in pairwise(dates))
    return timedelta(minutes=max(*within, over - fires[-1] + fires[0]) if within else over)


def _on(day: date, days: set[int], weekdays: set[int], free: tuple[bool, bool]) -> bool:
    """Where both a day of the month and a weekday are said, either of them is enough."""
    of_month, of_week = day.day in days, day.isoweekday() % 7 in weekdays
    return of_month and of_week if any(free) else of_month or of_week


def _field(word: str, least: int, most: int, names: Mapping[str, int]) -> set[int]:
    found: set[int] = set()
    for part in word.lower().split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = least, most
        else:
            begin, dash, end = span.partition("-")
            first = _number(begin, names)
            last = _number(end, names) if dash else (most if step else first)
        if not least <= first <= last <= most or (step and not int(step)):
            raise ValueError(word)
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def _number(word: str, names: Mapping[str, int]) -> int:
    return names[word] if word in names else int(word)


def _every(said: str) -> timedelta | None:
    parts = _EVERY.findall(said)
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    return timedelta(seconds=seconds) if seconds and "".join(map("".join, parts)) == said else None
