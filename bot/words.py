"""What people type, to a verb and its arguments: pure, and the same for every mouth.

Normalising a platform's mark-up (mentions, smart quotes, auto-links) is the channel's part; here words are words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from bot.ports import Rejected

_NUMBER = re.compile(r"#?([0-9]{1,18})(?![0-9.,:])\b")
_MOST_SHOWN = 40


def clean(said: str) -> str:
    """Text that every database can hold: NUL and lone surrogates become U+FFFD."""
    return said.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def split(words: str) -> tuple[str, str]:
    """The verb in lower case and the rest. ("/Ack  42" -> "ack", "42")."""
    verb, _, rest = words.strip().removeprefix("/").partition(" ")
    return verb.lower(), rest.strip()


def unknown(verb: str, known: Iterable[str]) -> Rejected:
    """The refusal of a verb that does not exist, with the nearest ones that do."""
    verbs = sorted(known)
    near = get_close_matches(verb, verbs, n=1)
    if near:
        said = f"No command {verb[:40]!r}. Did you mean `{near[0]}`? Nothing was done."
    else:
        said = f"No command {verb[:40]!r}. Nothing was done. Commands: {', '.join(verbs)}."
    return Rejected(said, code="unknown_command")


def target(rest: str, here: int | None, usage: str) -> int:
    """The one incident that is meant, for a verb that takes no more words. `here`: in whose thread it was said.

    Raises:
        Rejected: no number was given and none is understood from the place; or more was said than that, which may be
            talk, or a second number: then it is not for us to guess which part was meant.
    """
    number, more = _numbered(rest)
    if number is None and here is not None and not rest:
        return here
    if number is not None and not more:
        return number
    if number is not None:
        said = f"{_short(more)} after the incident's number is not understood. Nothing was done. Usage: {usage}"
        raise Rejected(said, code="not_understood")
    if here is not None:
        said = f"{_short(rest)} is not understood here. Nothing was done. Usage: {usage}, or the verb alone in a thread"
        raise Rejected(said, code="not_understood")
    raise _no_number(rest, usage)


def target_and_text(rest: str, here: int | None, usage: str) -> tuple[int, str]:
    """The incident's number and the words for it. Where the place names an incident, words may begin with a number
    of their own ("3 pods restarted"): only `#3`, or the place's own number, is then one of an incident.

    Raises:
        Rejected: no number was given and none is understood from the place.
    """
    number, text = _numbered(rest)
    if here is not None and not rest.startswith("#") and number != here:
        return here, rest
    if number is not None:
        return number, text
    if here is not None:
        return here, rest
    raise _no_number(rest, usage)


def _numbered(rest: str) -> tuple[int | None, str]:
    number = _NUMBER.match(rest)
    return (int(number[1]), rest[number.end() :].strip()) if number else (None, rest)


def _no_number(rest: str, usage: str) -> Rejected:
    if rest:
        said = f"{_short(rest.partition(' ')[0])} is not an incident's number. Nothing was done. Usage: {usage}"
    else:
        said = f"Which incident? Nothing was done. Usage: {usage}"
    return Rejected(said, code="no_incident")


def _short(said: str) -> str:
    return repr(said if len(said) <= _MOST_SHOWN else f"{said[:_MOST_SHOWN]}...")
