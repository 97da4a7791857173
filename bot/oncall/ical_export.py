"""Shifts as an iCalendar (RFC 5545), which calendar programs subscribe to. Pure.

Each shift is an event with its instants in UTC, and so is each gap: whatever overrides, leave and clock changes make of
a rota has been worked out, and a program that knows no rule shows the same. An event keeps its UID for as long as the
same people have the same shift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256

from bot.core.rota import RotaGap, Shift
from bot.oncall.describe import spell_people, spell_reason

_LINE_BYTES = 75
_ESCAPED = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n", "\r": None})


def calendar_of(
    rota: str, shifts: Iterable[Shift], gaps: Iterable[RotaGap], *, now: datetime, names: Callable[[str], str] = str
) -> str:
    """The calendar as text. `now`: when it was made."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Vakhta//On call//EN",
        f"X-WR-CALNAME:{_text(f'On call: {rota}')}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        *(line for one in shifts for line in _shift(rota, one, now, names)),
        *(line for one in gaps for line in _gap(rota, one, now)),
        "END:VCALENDAR",
    ]
    return "".join(f"{part}\r\n" for line in lines for part in _folded(line))


def _shift(rota: str, shift: Shift, now: datetime, names: Callable[[str], str]) -> Iterator[str]:
    who = spell_people(shift.people, names)
    summary = f"{who} (shadow): {rota}" if shift.shadow else f"{who}: {rota}"
    key = f"{rota} {shift.start.isoformat()} {shift.source} {shift.layer} {shift.shadow} {' '.join(shift.people)}"
    yield from _event(key, shift, now, summary=summary, text=f"{who}, {spell_reason(shift, names)}.")


def _gap(rota: str, gap: RotaGap, now: datetime) -> Iterator[str]:
    few = "NOBODY" if not gap.have else f"ONLY {gap.have} OF {gap.need}"
    summary = f"{few} on call: {rota}"
    yield from _event(f"{rota} {gap.start.isoformat()} gap", gap, now, summary=summary, text=f"{summary}.")


def _event(key: str, when: Shift | RotaGap, now: datetime, *, summary: str, text: str) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{sha256(key.encode()).hexdigest()[:32]}@vakhta"
    yield f"DTSTAMP:{_utc(now)}"
    yield f"DTSTART:{_utc(when.start)}"
    yield f"DTEND:{_utc(when.end)}"
    yield f"SUMMARY:{_text(summary)}"
    yield f"DESCRIPTION:{_text(text)}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(written: str) -> str:
    return written.translate(_ESCAPED)


def _folded(line: str) -> Iterator[str]:
    """A line of at most 75 bytes, and its continuations, which begin with a space; no character is cut in two."""
    part, length = "", 0
    for one in line:
        size = len(one.encode())
        if length + size > _LINE_BYTES:
            yield part
            part, length = " ", 1
        part, length = part + one, length + size
    yield part
