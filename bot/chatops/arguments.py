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

from bot.chatops.tokens import (
    ArgumentSlot,
    Tokens,
    did_you_mean,
    nearest,
    quote,
    quote_if_needed,
    resolve_name,
    shorten,
)
from bot.core.errors import Rejected
from bot.core.incident_marker import MARK_LENGTH, MarkedIncidentNumber
from bot.core.silences import Matcher
from bot.lib.text import spell

_DIGITS = re.compile(r"0|[1-9][0-9]{0,17}")
_INCIDENT = re.compile(rf"#?(0|[1-9][0-9]{{0,17}})(?:-([0-9a-f]{{{MARK_LENGTH}}}))?(?![0-9.,:])\b")
_LABEL = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:[./]{_LABEL})*")
_LONGEST_NAME = 253  #: of a DNS name: RFC 1123 by way of Kubernetes' object names
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_HANDLE = re.compile(r"[0-9a-f]{4,64}")
_SPAN = re.compile(r"(?:([1-9][0-9]{0,4})d)?(?:([1-9][0-9]{0,4})h)?(?:([1-9][0-9]{0,4})m)?(?:([1-9][0-9]{0,6})s)?")
_MATCHER = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]{0,127})(=~|!~|!=|=)")
_MOST_MATCHERS = 20
_LONGEST_VALUE = 1024


class ArgumentType(Protocol):
    """What a value is read from and written as."""

    def usage(self, field: str) -> str:
        """As `usage` shows it, without brackets: "replicas 0-50"."""
        ...

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> object:
        """Take the value. At the line's end it is missing.

        Raises:
            Rejected: there is none, or not of this kind.
        """
        ...

    def format(self, value: object) -> str: ...


@dataclass(frozen=True)
class NoArguments:
    """The arguments of a verb that takes none."""


@dataclass(frozen=True)
class Keyword:
    """Said after this word, in any order with others of the kind, behind everything that has no such word."""

    keyword: str


@dataclass(frozen=True)
class Integer:
    """A whole number, least and most included."""

    minimum: int
    maximum: int
    noun: str = ""  #: "a replica count"; else made of the field's name

    def usage(self, field: str) -> str:
        return f"{field} {self.minimum}-{self.maximum}"

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> int:
        word = tokens.next_word()
        if not word:
            raise slot.missing(f"Which {slot.noun}, {self.minimum} to {self.maximum}?")
        if _DIGITS.fullmatch(word) and self.minimum <= int(word) <= self.maximum:
            return int(word)
        called = self.noun or f"a number of {slot.noun}"
        raise slot.refusal(f"{shorten(word)} is not {called}, {self.minimum} to {self.maximum} in plain digits.")

    def format(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True)
class Duration:
    """A duration in whole seconds: `90s`, `30m`, `2h`, `1d12h`."""

    maximum: timedelta
    minimum: timedelta = timedelta(seconds=1)

    def usage(self, field: str) -> str:  # noqa: ARG002 - a duration is a duration
        return "duration"

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> timedelta:
        word = tokens.next_word()
        if not word:
            raise slot.missing(f"How long, {spell(self.minimum)} to {spell(self.maximum)}?")
        found = _SPAN.fullmatch(word)
        if found is None:
            raise slot.refusal(f"{shorten(word)} is not a duration such as 90s, 30m, 2h or 1d12h.")
        days, hours, minutes, seconds = (int(digits or 0) for digits in found.groups())
        long = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if not self.minimum <= long <= self.maximum:
            raise slot.refusal(f"{shorten(word)} is not between {spell(self.minimum)} and {spell(self.maximum)}.")
        return long

    def format(self, value: object) -> str:
        assert isinstance(value, timedelta)
        return spell(value)


@dataclass(frozen=True)
class Name:
    """A name or path as DNS allows them: `api`, `prod/api`. Where names of its sort are known, one of those; its last
    part is enough if it is that of one only."""

    of: str = ""  #: under which word the known ones are listed; else the field's name

    def usage(self, field: str) -> str:
        return field.replace("_", " ")

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        of, word = self.of or slot.field, tokens.next_word()
        if not word:
            raise slot.missing()
        if len(word) <= _LONGEST_NAME and _NAME.fullmatch(word):
            return resolve_name(word, slot, of) or word
        names = slot.known.get(of, ())
        if word in names and not word.startswith("-"):
            return names[word] if isinstance(names, Mapping) else word
        raise slot.refusal(f"{shorten(word)} is not a valid {of} name.{did_you_mean(word, names)}", code="bad_name")

    def format(self, value: object) -> str:
        return quote_if_needed(str(value))


@dataclass(frozen=True)
class Person:
    """`@ana` or `ana`."""

    def usage(self, field: str) -> str:
        return field

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        word = tokens.next_word()
        if not word:
            raise slot.missing("Who?")
        person = word.removeprefix("@")
        if _PERSON.fullmatch(person):
            return resolve_name(person, slot, "person") or person
        message = f"{shorten(word)} is not a person's id.{did_you_mean(word, slot.known.get('person', ()))}"
        raise slot.refusal(message, code="bad_name")

    def format(self, value: object) -> str:
        return f"@{value}"


class OneOf:
    """One of a few words, in upper or lower case; the value is the choice as it was declared, an enum's member too."""

    def __init__(self, *choices: str) -> None:
        self.choices = {str(choice): choice for choice in choices}

    def usage(self, field: str) -> str:  # noqa: ARG002 - the choices tell what it is
        return "|".join(self.choices)

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        word = tokens.next_word()
        if not word:
            raise slot.missing(f"Which {slot.noun}: {', '.join(self.choices)}?")
        choice = self.choices.get(word.lower()) if word.isascii() else None
        if choice is not None:
            return choice
        near = nearest(word, self.choices)
        more = f"Did you mean `{near}`?" if near else f"It is one of {', '.join(self.choices)}."
        raise slot.refusal(f"{shorten(word)} is no {slot.noun}. {more}")

    def format(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True)
class Handle:
    """The lower-case hex by which a plan or a run is called."""

    def usage(self, field: str) -> str:
        return field

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        word = tokens.next_word()
        if not word:
            raise slot.missing()
        if not _HANDLE.fullmatch(word):
            raise slot.refusal(f"{shorten(word)} is not the handle of a {slot.noun}: 4 to 64 of 0-9 and a-f.")
        return word

    def format(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True)
class FreeText:
    """What is left of the line, as it was typed. After a word of its own it may be put into double quotes."""

    max_length: int = 2000
    question: str = ""  #: the question where it is missing: "What should the note say?"
    placeholder: str = "text"  #: what its usage calls it, where it is not just any text

    def usage(self, field: str) -> str:  # noqa: ARG002 - the field's name would say less than "text"
        return self.placeholder

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        return self.check(tokens.remainder(), slot)

    def check(self, message: str, slot: ArgumentSlot) -> str:
        if not message:
            raise slot.missing(self.question or f"What should the {slot.noun} say?")
        if len(message) > self.max_length:
            many = f"The {slot.noun} has at most {self.max_length} characters, this has {len(message)}."
            raise slot.refusal(many, code="too_long")
        return message

    def format(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True)
class IncidentNumber:
    """`42` or `#42`; in an incident's thread it may be left out. Where more may begin with a number of its own
    ("3 pods restarted"), only `#3`, or the thread's own number, is then one. A button says `42-9f3ab2c1d4e5`."""

    def usage(self, field: str) -> str:
        return field

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> int:
        number = int(found[1]) if (found := _INCIDENT.match(tokens.rest)) else None
        bare = slot.number_may_follow and not tokens.rest.startswith("#") and not (found and found[2])
        if slot.thread_incident is not None and (number is None or (bare and number != slot.thread_incident)):
            return slot.thread_incident
        if found is None or number is None:
            raise self._none(tokens.peek(), slot)
        tokens.take(found.end())
        return MarkedIncidentNumber(number, found[2]) if found[2] else number

    def format(self, value: object) -> str:
        return f"#{value}"

    def _none(self, word: str, slot: ArgumentSlot) -> Rejected:
        message = f"{shorten(word)} is not an incident's number." if word else "Which incident?"
        return slot.refusal(message, code="no_incident")


@dataclass(frozen=True)
class Matchers:
    """Label matchers, one a word: `name=value`, `name!=value`, `name=~regex`, `name!~regex`; values may be quoted."""

    def usage(self, field: str) -> str:  # noqa: ARG002 - the form says more than a name
        return "name=value ..."

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> tuple[Matcher, ...]:
        taken: list[Matcher] = []
        while found := _MATCHER.match(tokens.rest):
            if not tokens.rest[found.end() :][:1].strip():
                raise slot.refusal(f'Nothing follows {found[0]}. For "without this label" say {found[0]}"".')
            tokens.take(found.end())
            taken.append(Matcher(name=found[1], op=found[2], value=self._value(tokens, slot, found[0])))
        if not taken and tokens.rest:
            raise slot.refusal(f"{shorten(tokens.peek())} is not of the form name=value, !=, =~ or !~.")
        if not taken:
            raise slot.missing("Which labels, such as alertname=HighErrorRate?")
        if len(taken) > _MOST_MATCHERS:
            raise slot.refusal(f"These are {len(taken)} matchers, and {_MOST_MATCHERS} are the most.", code="too_long")
        return tuple(taken)

    def format(self, value: object) -> str:
        assert isinstance(value, tuple)
        return " ".join(f"{one.name}{one.op}{quote(one.value)}" for one in value)

    def _value(self, tokens: Tokens, slot: ArgumentSlot, label: str) -> str:
        quoted = tokens.rest[:1] in {'"', "'"}
        value = tokens.next_word()
        if len(value) > _LONGEST_VALUE:
            raise slot.refusal(f"What follows {label} is longer than {_LONGEST_VALUE} characters.", code="too_long")
        if not quoted and ('"' in value or "'" in value):
            raise slot.refusal(f"A quote stands inside of {shorten(label + value)}. Put the whole value into quotes.")
        return value
