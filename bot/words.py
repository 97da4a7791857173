"""What people type, to a verb and its arguments: pure, and the same for every mouth.

Normalising a platform's mark-up (mentions, smart quotes, auto-links) is the channel's part; here words are words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from bot.ports import Rejected

_NUMBER = re.compile(r"#?([0-9]{1,18})(?![0-9.,:])\b")


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


def target(rest: str, here: int | None, usage: str) -> tuple[int, str]:
    """The incident's number and what follows it. `here`: the incident in whose thread it was said.

    Raises:
        Rejected: no number was given and none is understood from the place.
    """
    number = _NUMBER.match(rest)
    if number:
        return int(number[1]), rest[number.end() :].strip()
    if here is not None:
        return here, rest
    if rest:
        said = f"{rest.partition(' ')[0][:40]!r} is not an incident's number. Nothing was done. Usage: {usage}"
    else:
        said = f"Which incident? Nothing was done. Usage: {usage}"
    raise Rejected(said, code="no_incident")
