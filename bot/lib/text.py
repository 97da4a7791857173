"""Text helpers: normalise typed text, match globs, spell out lists, times and durations. Pure.

The trap: `normalized` is applied once, by the channel, after it has undone the platform's own mark-up (mentions,
auto-links, entities), and only to text that a person typed. Text of a button, an undo or a runbook is the bot's own,
and a quoted value in it must stay as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import translate

#: Characters that phones and word processors insert for quotes and spaces.
_TYPOGRAPHY = str.maketrans(
    dict.fromkeys("“”„‟«»＂", '"') | dict.fromkeys("‘’‚‛", "'") | dict.fromkeys("\u00a0\u2007\u202f", " ")
)


def storable(message: str) -> str:
    """Text that every database can hold: NUL and lone surrogates become U+FFFD."""
    return message.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def normalized(typed: str) -> str:
    """Typed text with plain quotes and spaces, and without backticks. Idempotent."""
    return typed.replace("```", " ").replace("`", "").translate(_TYPOGRAPHY).strip()


_WILD = re.compile(r"[*?]")
#: Truthy for a text that matches.
TextMatcher = Callable[[str], object]


def glob_matcher(written: str) -> TextMatcher:
    """A matcher for a glob. Case-sensitive; * is any text, also "/" and the empty text, ? is one character."""
    if written == "*":
        return lambda _: True
    if not _WILD.search(written):
        return written.__eq__
    return re.compile(translate(written.replace("[", "[[]"))).match


def spell_moment(moment: datetime) -> str:
    """A moment for people: "2026-11-23 12:00 UTC"."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'minutes')} UTC"


def spell_at(moment: datetime, now: datetime) -> str:
    """A moment of an answer that says once that its times are UTC: "12:00", or "11-22 12:00" of another day."""
    at, today = moment.astimezone(UTC), now.astimezone(UTC).date()
    if at.date() == today:
        return f"{at:%H:%M}"
    return f"{at:%m-%d %H:%M}" if at.year == today.year else f"{at:%Y-%m-%d %H:%M}"


def spell_list(words: Iterable[object], joint: str = "or") -> str:
    """("a", "b", "c") -> "a, b or c"."""
    *first, last = [str(word) for word in words] or [""]
    return f"{', '.join(first)} {joint} {last}" if first else last


def spell(long: timedelta) -> str:
    """A duration as a person would type it: "1d12h". Fractions of a second are dropped; zero is "0s"."""
    return "".join(f"{number}{unit}" for number, unit in _units(long, minute="m")) or "0s"


_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP = 1000


def scale_bytes(count: int) -> tuple[float, str]:
    """The number below 1000 and its unit, decimal as disks and clouds have them: (3.1, "GB")."""
    size = float(count)
    for unit in _BYTE_UNITS[:-1]:
        if size < _STEP:
            return size, unit
        size /= _STEP
    return size, _BYTE_UNITS[-1]


def spell_duration(long: timedelta) -> str:
    """ "1 h 30 min": for people to read; nothing finer than a second."""
    return " ".join(f"{number} {unit}" for number, unit in _units(long, minute="min")) or "0 s"


def spell_briefly(long: timedelta) -> str:
    """A duration by its two largest units: "3 d 4 h", "3 h 5 min", "12 min"; seconds only below ten minutes."""
    seconds = max(0, int(long.total_seconds()))
    step = next((step for over, step in ((86400, 3600), (600, 60)) if seconds >= over), 1)
    return spell_duration(timedelta(seconds=seconds // step * step))


def _units(long: timedelta, *, minute: str) -> Iterator[tuple[int, str]]:
    """Days, hours, minutes and seconds, without those that are zero. `minute`: how that unit is written."""
    seconds = int(long.total_seconds())
    parts = (seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, minute), (seconds % 60, "s")
    return ((number, unit) for number, unit in parts if number)
