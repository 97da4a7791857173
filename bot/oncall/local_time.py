"""Local times as instants. Pure.

The promise: a boundary that a rule makes always has exactly one instant (`first_instant`). A time that a person typed
is never guessed at (`entered_instant`): where it does not exist or comes twice, it is refused, and both readings told.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.lib.time_windows import first_instant

MINUTES_OF_A_DAY = 24 * 60
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MIDNIGHT = re.compile(r"(\d{4}-\d{2}-\d{2})[T ]24:00(?::00)?")
MOMENT_FORM = "must be a date and a time, such as 2026-12-31 18:00, or with an offset, 2026-12-31T18:00+01:00"


class UnclearTime(ValueError):
    """A local time that does not exist, or comes twice. The text says so, with both readings."""


def instant_on(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The instant of so many minutes after that day's midnight, by the clock of the wall; they may pass its end."""
    return first_instant(datetime.combine(day, time()) + timedelta(minutes=minutes), zone)


def entered_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a local time that somebody typed. `local` is naive.

    Raises:
        UnclearTime: it does not exist in that zone, or comes twice.
    """
    early, late = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early == late:
        return early
    told = f"{local:%Y-%m-%d %H:%M} "
    if early < late:
        told += f"comes twice in {zone.key}, because clocks are set back; write"
    else:
        told += f"does not exist in {zone.key}, because clocks are set forward; write"
        early, late = late, early
    readings = (one.astimezone(zone).isoformat(timespec="minutes") for one in (early, late))
    raise UnclearTime(f"{told} {' or '.join(readings)}")


def is_date(written: str) -> bool:
    """Whether it is a day, without a time of it."""
    return bool(_DATE.fullmatch(written.strip()))


def parse_entered(written: str, zone: ZoneInfo) -> datetime:
    """The instant of what a person wrote: a date and a time of that zone, or with its own offset. 24:00 ends a day.

    Raises:
        UnclearTime: that local time does not exist in the zone, or comes twice.
        ValueError: it is no such time. The text says what to write, and does not repeat what was written.
    """
    written = written.strip()
    try:
        if is_date(written):
            return instant_on(date.fromisoformat(written), 0, zone)
        if ends := _MIDNIGHT.fullmatch(written):
            return instant_on(date.fromisoformat(ends[1]), MINUTES_OF_A_DAY, zone)
        local = datetime.fromisoformat(written)
        if local.tzinfo is not None:
            return local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(MOMENT_FORM) from None
    return entered_instant(local, zone)
