"""Splits a typed line into tokens, and words the refusals about them: pure, the base of `arguments`.

Words are separated by spaces and tabs alone. A quote counts only at the beginning of a word or of a matcher's value: an
apostrophe inside a word is a letter, so that each argument type refuses it in its own terms. In double quotes `\\"` is
a quote and `\\\\` a backslash; a backslash before any other character is itself, because regular expressions are full
of them. In single quotes every character is itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from bot.core.command import KnownNames
from bot.core.errors import Rejected
from bot.lib.similar_words import offer, similar

_BLANK = " \t"
_MOST_SHOWN = 40
_MOST_OFFERED = 5
_ESCAPED = re.compile(r'\\(["\\])')
_QUOTED = {'"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL), "'": re.compile(r"'([^']*)'")}
_PLAIN = re.compile(r"[A-Za-z0-9_./:@-]+")
_BARE = re.compile(r"[^ \t]+")
#: Letters of other scripts that look like the Latin ones in names.
_LOOKALIKES = str.maketrans("асԁеһіјӏорԛѕтԝхуαικνορτυχ", "acdehijlopqstwxyaikvoptux")


@dataclass(frozen=True, kw_only=True, slots=True)
class ArgumentSlot:
    """The slot of one value: the field that it is for, and the context of the request."""

    field: str
    usage: str
    thread_incident: int | None = None  #: the incident of the thread
    known: KnownNames
    number_may_follow: bool = False  #: the next argument may begin with a number of its own

    @property
    def noun(self) -> str:
        return self.field.replace("_", " ")

    def refusal(self, message: str, *, code: str = "not_understood") -> Rejected:
        """`message`: what is wrong, a whole sentence."""
        return Rejected(f"{message} Nothing was done. Usage: {self.usage}", code=code)

    def missing(self, asked: str = "") -> Rejected:
        return self.refusal(asked or f"Which {self.noun}?", code="missing")


class Tokens:
    """The rest of the line, not yet parsed."""

    def __init__(self, message: str, usage: str) -> None:
        self.rest = message.strip()
        self._usage = usage

    def peek(self) -> str:
        """The next word as it was typed, quotes and all up to the first blank; "" at the end."""
        found = _BARE.match(self.rest)
        return found[0] if found else ""

    def next_word(self) -> str:
        """Take the next word; "" at the end, or for empty quotes.

        Raises:
            Rejected: a quote is not closed, or something touches the closing one.
        """
        return self.next_quoted() if self.rest[:1] in _QUOTED else self.take(len(self.peek()))

    def next_quoted(self) -> str:
        """Take the quoted text that begins here."""
        mark = self.rest[0]
        found = _QUOTED[mark].match(self.rest)
        if found is None:
            raise self._wrong(f"A quote is not closed: {shorten(self.rest)}.")
        after = self.rest[found.end() : found.end() + 1]
        if after and after not in _BLANK:
            raise self._wrong(f"There is no space after the closing quote of {shorten(found[0])}.")
        self.take(found.end())
        return _ESCAPED.sub(r"\1", found[1]) if mark == '"' else found[1]

    def take(self, length: int) -> str:
        taken, self.rest = self.rest[:length], self.rest[length:].lstrip(_BLANK)
        return taken

    def remainder(self) -> str:
        return self.take(len(self.rest))

    def _wrong(self, message: str) -> Rejected:
        return Rejected(f"{message} Nothing was done. Usage: {self._usage}", code="unbalanced_quotes")


def quote(message: str) -> str:
    """As one quoted word, whatever characters it has."""
    escaped = message.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def quote_if_needed(message: str) -> str:
    """As one word, quoted only if needed."""
    return message if _PLAIN.fullmatch(message) else quote(message)


def shorten(message: str) -> str:
    """A text as a refusal quotes it. Of `--flag=value` only the flag is shown: a value may be long, or a secret."""
    if message.startswith("-") and "=" in message:
        message = f"{message.partition('=')[0][: _MOST_SHOWN - 1]}=..."
    return repr(message if len(message) <= _MOST_SHOWN else f"{message[:_MOST_SHOWN]}...")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant: one that looks the same, else one of similar spelling; else None."""
    near = nearest_names(word, known, 1)
    return near[0] if near else None


def nearest_names(word: str, known: Iterable[str], most: int) -> list[str]:
    """The known names that may have been meant, the most similar first."""
    known = list(known)
    folded = unicodedata.normalize("NFKC", word[:80]).casefold().translate(_LOOKALIKES).strip("@")
    by_tail = {name.rpartition("/")[2].casefold(): name for name in sorted(known, reverse=True)}
    forms = by_tail | {name.casefold(): name for name in by_tail.values()} | {name.casefold(): name for name in known}
    close = get_close_matches(folded, forms, n=most)
    near = [folded] if folded in forms else [one for one in close if _own(folded, one)]
    return list(dict.fromkeys(forms[one] for one in near))


def _own(word: str, form: str) -> bool:
    """Whether they are alike by more than a common beginning up to the slash, which all names of a place have."""
    place, slash, name = word.rpartition("/")
    other, _, named = form.rpartition("/")
    return not slash or place != other or bool(get_close_matches(name, [named]))


def list_names(names: Collection[str]) -> str:
    """ "prod/api or staging/api"; of many names only the first few."""
    listed = sorted(names)
    if len(listed) > _MOST_OFFERED:
        return f"{', '.join(listed[:_MOST_OFFERED])} or {len(listed) - _MOST_OFFERED} more"
    return f"{', '.join(listed[:-1])} or {listed[-1]}" if len(listed) > 1 else "".join(listed)


def resolve_name(word: str, slot: ArgumentSlot, of: str) -> str | None:
    """The known name that equals `word`, or ends with it as its last part; None if no names are known.

    Raises:
        Rejected: there is none, or more than one, which the refusal lists.
    """
    names = slot.known.get(of)
    if names is None:
        return None
    if word in names:
        return names[word] if isinstance(names, Mapping) else word
    meant = {name for name in names if name.endswith(f"/{word}")}
    if len(meant) > 1:
        raise slot.refusal(f"Which {of}: {list_names(meant)}?", code="ambiguous")
    if meant:
        return meant.pop()
    raise slot.refusal(f"{shorten(word)} is not a known {of}.{did_you_mean(word, names)}", code="unknown_name")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ " Did you mean `x`?" if a known name is similar, else ""."""
    near = nearest(word, list(known))
    return f" Did you mean `{near}`?" if near else ""


def unknown_verb(verb: str, known: Iterable[str]) -> Rejected:
    """The refusal of an unknown verb, with the most similar ones that exist. Nothing runs a guess."""
    verbs = list(known)
    folded = unicodedata.normalize("NFKC", verb[:80]).casefold().translate(_LOOKALIKES)
    near = [folded] if folded in verbs else similar(folded, verbs)
    if near:
        message = f"No command {verb[:40]!r}.{offer(near)} Nothing was done."
    else:
        message = f"No command {verb[:40]!r}. Nothing was done. `help` lists the commands that you may use."
    return Rejected(message, code="unknown_command")
