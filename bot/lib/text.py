"""What people type, as plain words: pure, and the same for every mouth. `grammar` reads what follows the verb.

A platform's own mark-up (mentions, auto-links, entities) is undone by its channel, which then makes the words
`normalized`, once, and only words that a person typed: those of a button, an undo or a runbook are the bot's own, and
a quoted value in them must stay as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from fnmatch import translate

#: What phones and word processors put in the place of quotes and of the space.
_TYPOGRAPHY = str.maketrans(
    dict.fromkeys("“”„‟«»＂", '"') | dict.fromkeys("‘’‚‛", "'") | dict.fromkeys("\u00a0\u2007\u202f", " ")
)


def storable(message: str) -> str:
    """Text that every database can hold: NUL and lone surrogates become U+FFFD."""
    return message.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def normalized(typed: str) -> str:
    """Typography and code marks undone. Nothing in the result is such a mark, so a second time changes nothing."""
    return typed.replace("```", " ").replace("`", "").translate(_TYPOGRAPHY).strip()


#: Truthy for what it matches.
TextMatcher = Callable[[str], object]


def glob_matcher(written: str) -> TextMatcher:
    """Case counts: * is any text, also "/" and none, ? is one character."""
    if written == "*":
        return lambda _: True
    if not _WILD.search(written):
        return written.__eq__
    return re.compile(translate(written.replace("[", "[[]"))).match


def spell_moment(moment: datetime) -> str:
    """For people."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'minutes')} UTC"


def spell_list(words: Iterable[object], joint: str = "or") -> str:
    """("a", "b", "c") -> "a, b or c"."""
    *first, last = [str(word) for word in words] or [""]
    return f"{', '.join(first)} {joint} {last}" if first else last


_WILD = re.compile(r"[*?]")


def spell(long: timedelta) -> str:
    """ "1d12h": as a person would type it. What is finer than a second is left out; nothing at all is "0s"."""
    seconds = int(long.total_seconds())
    parts = (seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def spell_duration(long: timedelta) -> str:
    """ "1 h 30 min": for people to read, its two greatest units; nothing finer than a second."""
    seconds = int(long.total_seconds())
    parts = (
        (seconds // 86400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "min"),
        (seconds % 60, "s"),
    )
    return " ".join([f"{number} {unit}" for number, unit in parts if number][:2]) or "0 s"
