"""The kinds of words that arguments are made of. A command's dataclass says which, for each of its fields:

    replicas: Annotated[int, Count(0, 50)]
    held: Annotated[timedelta | None, Span(most=timedelta(days=7)), After("for")] = None

A kind takes what is its own from the line and gives the value, or refuses in words for the asker; it never guesses and
never mends: digits are ASCII, without sign, leading zero or exponent, and names are those of DNS. `write` says a value
in words that `take` reads as the same value. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from bot.acting import Matcher
from bot.marking import MARK, Marked
from bot.ports import Rejected
from bot.sentence import Line, Slot, as_word, hint, named, nearest, quote, short

_DIGITS = re.compile(r"0|[1-9][0-9]{0,17}")
_INCIDENT = re.compile(rf"#?(0|[1-9][0-9]{{0,17}})(?:-([0-9a-f]{{{MARK}}}))?(?![0-9.,:])\b")
_LABEL = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:[./]{_LABEL})*")
_LONGEST_NAME = 253  #: of a DNS name: RFC 1123 by way of Kubernetes' object names
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_HANDLE = re.compile(r"[0-9a-f]{4,64}")
_SPAN = re.compile(r"(?:([1-9][0-9]{0,4})d)?(?:([1-9][0-9]{0,4})h)?(?:([1-9][0-9]{0,4})m)?(?:([1-9][0-9]{0,6})s)?")
_MATCHER = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]{0,127})(=~|!~|!=|=)")
_MOST_MATCHERS = 20
_LONGEST_VALUE = 1024


class Kind(Protocol):
    """What a value is read from and written as."""

    def shape(self, field: str) -> str:
        """As `usage` shows it, without brackets: "replicas 0-50"."""
        ...

    def take(self, line: Line, slot: Slot) -> object:
        """Take the value. At the line's end it is missing.

        Raises:
            Rejected: there is none, or not of this kind.
        """
        ...

    def write(self, value: object) -> str: ...


@dataclass(frozen=True)
class Nothing:
    """The arguments of a verb that takes none."""


@dataclass(frozen=True)
class After:
    """Said after this word, in any order with others of the kind, behind everything that has no such word."""

    word: str


@dataclass(frozen=True)
class Count:
    """A whole number, least and most included."""

    least: int
    most: int
    called: str = ""  #: "a replica count"; else made of the field's name

    def shape(self, field: str) -> str:
        return f"{field} {self.least}-{self.most}"

    def take(self, line: Line, slot: Slot) -> int:
        word = line.word()
        if not word:
            raise slot.missing(f"Which {slot.called}, {self.least} to {self.most}?")
        if _DIGITS.fullmatch(word) and self.least <= int(word) <= self.most:
            return int(word)
        called = self.called or f"a number of {slot.called}"
        raise slot.wrong(f"{short(word)} is not {called}, {self.least} to {self.most} in plain digits.")

    def write(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True)
class Span:
    """A duration in whole seconds: `90s`, `30m`, `2h`, `1d12h`."""

    most: timedelta
    least: timedelta = timedelta(seconds=1)

    def shape(self, field: str) -> str:  # noqa: ARG002 - a duration is a duration
        return "duration"

    def take(self, line: Line, slot: Slot) -> timedelta:
        word = line.word()
        if not word:
            raise slot.missing(f"How long, {spell(self.least)} to {spell(self.most)}?")
        found = _SPAN.fullmatch(word)
        if found is None:
            raise slot.wrong(f"{short(word)} is not a duration such as 90s, 30m, 2h or 1d12h.")
        days, hours, minutes, seconds = (int(digits or 0) for digits in found.groups())
        long = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if not self.least <= long <= self.most:
            raise slot.wrong(f"{short(word)} is not between {spell(self.least)} and {spell(self.most)}.")
        return long

    def write(self, value: object) -> str:
        assert isinstance(value, timedelta)
        return spell(value)


def spell(long: timedelta) -> str:
    """ "1d12h": as a person would type it. What is finer than a second is left out; nothing at all is "0s"."""
    seconds = int(long.total_seconds())
    parts = (seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


@dataclass(frozen=True)
class Name:
    """A name or path as DNS allows them: `api`, `prod/api`. Where names of its sort are known, one of those; its last
    part is enough if it is that of one only."""

    of: str = ""  #: under which word the known ones are listed; else the field's name

    def shape(self, field: str) -> str:
        return field.replace("_", " ")

    def take(self, line: Line, slot: Slot) -> str:
        of, word = self.of or slot.field, line.word()
        if not word:
            raise slot.missing()
        if len(word) <= _LONGEST_NAME and _NAME.fullmatch(word):
            return named(word, slot, of) or word
        names = slot.known.get(of, ())
        if word in names and not word.startswith("-"):
            return names[word] if isinstance(names, Mapping) else word
        raise slot.wrong(f"{short(word)} is not a valid {of} name.{hint(word, names)}", code="bad_name")

    def write(self, value: object) -> str:
        return as_word(str(value))


@dataclass(frozen=True)
class Person:
    """`@ana` or `ana`."""

    def shape(self, field: str) -> str:
        return field

    def take(self, line: Line, slot: Slot) -> str:
        word = line.word()
        if not word:
            raise slot.missing("Who?")
        person = word.removeprefix("@")
        if _PERSON.fullmatch(person):
            return named(person, slot, "person") or person
        said = f"{short(word)} is not a person's id.{hint(word, slot.known.get('person', ()))}"
        raise slot.wrong(said, code="bad_name")

    def write(self, value: object) -> str:
        return f"@{value}"


class OneOf:
    """One of a few words, in upper or lower case; the value is the choice as it was declared, an enum's member too."""

    def __init__(self, *choices: str) -> None:
        self.choices = {str(choice): choice for choice in choices}

    def shape(self, field: str) -> str:  # noqa: ARG002 - the choices tell what it is
        return "|".join(self.choices)

    def take(self, line: Line, slot: Slot) -> str:
        word = line.word()
        if not word:
            raise slot.missing(f"Which {slot.called}: {', '.join(self.choices)}?")
        choice = self.choices.get(word.lower()) if word.isascii() else None
        if choice is not None:
            return choice
        near = nearest(word, self.choices)
        more = f"Did you mean `{near}`?" if near else f"It is one of {', '.join(self.choices)}."
        raise slot.wrong(f"{short(word)} is no {slot.called}. {more}")

    def write(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True)
class Handle:
    """The lower-case hex by which a plan or a run is called."""

    def shape(self, field: str) -> str:
        return field

    def take(self, line: Line, slot: Slot) -> str:
        word = line.word()
        if not word:
            raise slot.missing()
        if not _HANDLE.fullmatch(word):
            raise slot.wrong(f"{short(word)} is not the handle of a {slot.called}: 4 to 64 of 0-9 and a-f.")
        return word

    def write(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True)
class Text:
    """What is left of the line, as it was typed. After a word of its own it may be put into double quotes."""

    most: int = 2000
    asked: str = ""  #: the question where it is missing: "What should the note say?"
    shown: str = "text"  #: what its usage calls it, where it is not just any text

    def shape(self, field: str) -> str:  # noqa: ARG002 - the field's name would say less than "text"
        return self.shown

    def take(self, line: Line, slot: Slot) -> str:
        return self.check(line.all(), slot)

    def check(self, said: str, slot: Slot) -> str:
        if not said:
            raise slot.missing(self.asked or f"What should the {slot.called} say?")
        if len(said) > self.most:
            many = f"The {slot.called} has at most {self.most} characters, this has {len(said)}."
            raise slot.wrong(many, code="too_long")
        return said

    def write(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True)
class IncidentNumber:
    """`42` or `#42`; in an incident's thread it may be left out. Where more may begin with a number of its own
    ("3 pods restarted"), only `#3`, or the thread's own number, is then one. A button says `42-9f3ab2c1d4e5`."""

    def shape(self, field: str) -> str:
        return field

    def take(self, line: Line, slot: Slot) -> int:
        number = int(found[1]) if (found := _INCIDENT.match(line.rest)) else None
        bare = slot.loose and not line.rest.startswith("#") and not (found and found[2])
        if slot.here is not None and (number is None or (bare and number != slot.here)):
            return slot.here
        if found is None or number is None:
            raise self._none(line.peek(), slot)
        line.take(found.end())
        return Marked(number, found[2]) if found[2] else number

    def write(self, value: object) -> str:
        return f"#{value}"

    def _none(self, word: str, slot: Slot) -> Rejected:
        said = f"{short(word)} is not an incident's number." if word else "Which incident?"
        return slot.wrong(said, code="no_incident")


@dataclass(frozen=True)
class Matchers:
    """Label matchers, one a word: `name=value`, `name!=value`, `name=~regex`, `name!~regex`; values may be quoted."""

    def shape(self, field: str) -> str:  # noqa: ARG002 - the form says more than a name
        return "name=value ..."

    def take(self, line: Line, slot: Slot) -> tuple[Matcher, ...]:
        taken: list[Matcher] = []
        while found := _MATCHER.match(line.rest):
            if not line.rest[found.end() :][:1].strip():
                raise slot.wrong(f'Nothing follows {found[0]}. For "without this label" say {found[0]}"".')
            line.take(found.end())
            taken.append(Matcher(name=found[1], op=found[2], value=self._value(line, slot, found[0])))
        if not taken and line.rest:
            raise slot.wrong(f"{short(line.peek())} is not of the form name=value, !=, =~ or !~.")
        if not taken:
            raise slot.missing("Which labels, such as alertname=HighErrorRate?")
        if len(taken) > _MOST_MATCHERS:
            raise slot.wrong(f"These are {len(taken)} matchers, and {_MOST_MATCHERS} are the most.", code="too_long")
        return tuple(taken)

    def write(self, value: object) -> str:
        assert isinstance(value, tuple)
        return " ".join(f"{one.name}{one.op}{quote(one.value)}" for one in value)

    def _value(self, line: Line, slot: Slot, label: str) -> str:
        quoted = line.rest[:1] in {'"', "'"}
        value = line.word()
        if len(value) > _LONGEST_VALUE:
            raise slot.wrong(f"What follows {label} is longer than {_LONGEST_VALUE} characters.", code="too_long")
        if not quoted and ('"' in value or "'" in value):
            raise slot.wrong(f"A quote stands inside of {short(label + value)}. Put the whole value into quotes.")
        return value
