"""A time that somebody types after `at`: local to a zone unless it names another one, and never guessed at. Pure."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.core.errors import Rejected
from bot.lib.time_windows import UnknownZone, zone
from bot.oncall.local_time import UnclearTime, entered_instant, parse_entered

_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})")
_FORMS = "`at 2026-12-24 18:00`, `at 2026-12-24T18:00+01:00`, `at 18:00 Europe/Berlin`"


def asked_time(typed: str, usual: ZoneInfo, now: datetime) -> datetime:
    """The instant. A time without a date is the next such time from now on.

    `usual`: the zone of a time that names none.

    Raises:
        Rejected: it is no time, does not exist, or comes twice.
    """
    written, _, last = typed.strip().rpartition(" ")
    try:
        where = zone(last) if last[:1].isalpha() and written else usual
        text = written if last[:1].isalpha() and written else typed.strip()
        if text.lower() == "now":
            return now
        if clock := _TIME_OF_DAY.fullmatch(text):
            return _next(time(int(clock[1]), int(clock[2])), where, now)
        return parse_entered(text, where)
    except UnknownZone as unknown:
        raise _refused(f"{unknown.zone[:40]!r} {unknown}.") from None
    except UnclearTime as unclear:
        raise _refused(f"{unclear}.") from None
    except ValueError:
        raise _refused(f"{typed[:40]!r} is not a time. Type {_FORMS}.") from None


def _next(clock: time, where: ZoneInfo, now: datetime) -> datetime:
    day = now.astimezone(where).date()
    at = entered_instant(datetime.combine(day, clock), where)
    return at if at >= now else entered_instant(datetime.combine(day + timedelta(days=1), clock), where)


def _refused(message: str) -> Rejected:
    return Rejected(f"{message} Nothing was done.", code="bad_time", status=409)
