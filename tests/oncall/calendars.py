"""Events of a calendar, as another program reads them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import icalendar


class Read(NamedTuple):
    """One event; its times in UTC."""

    start: datetime
    end: datetime
    summary: str
    uid: str


def read(calendar: str) -> list[Read]:
    return events(icalendar.Calendar.from_ical(calendar).walk("VEVENT"))


def events(found: Iterable[Any]) -> list[Read]:
    """`found`: events of icalendar, whose properties have too many types to be told apart."""
    return [
        Read(one["DTSTART"].dt.astimezone(UTC), one["DTEND"].dt.astimezone(UTC), str(one["SUMMARY"]), str(one["UID"]))
        for one in found
    ]
