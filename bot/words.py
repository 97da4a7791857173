"""What people type, as plain words: pure, and the same for every mouth. `grammar` reads what follows the verb.

A platform's own mark-up (mentions, auto-links, entities) is undone by its channel, which then makes the words
`normalized`, once, and only words that a person typed: those of a button, an undo or a runbook are the bot's own, and
a quoted value in them must stay as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from bot.ports import Rejected

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


def split_verb(words: str) -> tuple[str, str]:
    """The verb in lower case and the rest. ("/Ack  42" -> "ack", "42")."""
    verb, _, rest = words.strip().removeprefix("/").partition(" ")
    return verb.lower(), rest.strip()


def unknown_verb(verb: str, known: Iterable[str]) -> Rejected:
    """The refusal of a verb that does not exist, with the nearest ones that do."""
    verbs = sorted(known)
    near = get_close_matches(verb, verbs, n=1)
    if near:
        message = f"No command {verb[:40]!r}. Did you mean `{near[0]}`? Nothing was done."
    else:
        message = f"No command {verb[:40]!r}. Nothing was done. `help` lists what you may say."
    return Rejected(message, code="unknown_command")
