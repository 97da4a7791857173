"""The argument types. A command's dataclass names one for each of its fields:

    replicas: Annotated[int, Integer(0, 50)]
    held: Annotated[timedelta | None, Duration(maximum=timedelta(days=7)), Keyword("for")] = None

A type parses its own part of the line to a value, or refuses it with a message for the requester. It never guesses and
never corrects: digits are ASCII, without sign, leading zero or exponent, and names are those of DNS. `format` writes a
value as text that `parse` reads as the same value. Pure.
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
from bot.lib.text import spell, spell_duration, spell_list

_DIGITS = re.compile(r"0|[1-9][0-9]{0,17}")
_INCIDENT = re.compile(rf"#?(0|[1-9][0-9]{{0,17}})(?:-([0-9a-f]{{{MARK_LENGTH}}}))?(?![0-9.,:])\b")
_LABEL = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:[./]{_LABEL})*")
_LONGEST_NAME = 253  #: of a DNS name: RFC 1123 by way of Kubernetes' object names
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_HANDLE = re.compile(r"[0-9a-f]{4,64}")
_BACKUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+=-]{0,511}")
_SPAN = re.compile(r"(?:([1-9][0-9]{0,4})d)?(?:([1-9][0-9]{0,4})h)?(?:([1-9][0-9]{0,4})m)?(?:([1-9][0-9]{0,6})s)?")
_MATCHER = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]{0,127})(=~|!~|!=|=)")
_MOST_MATCHERS = 20
_LONGEST_VALUE = 1024


class ArgumentType(Protocol):
    """How one kind of value is parsed and formatted."""

    def usage(self, field: str) -> str:
        """Its part of the usage line, without brackets: "replicas 0-50"."""
        ...

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> object:
        """Take the value from the tokens. At the end of the line it is missing.

        Raises:
            Rejected: it is missing, or not of this type.
        """
        ...

    def format(self, value: object) -> str: ...


@dataclass(frozen=True)
class NoArguments:
    """The arguments of a verb that takes none."""


@dataclass(frozen=True)
class Keyword:
    """Makes the argument a clause behind this word. Clauses follow all other arguments, in any order."""

    keyword: str


@dataclass(frozen=True)
class Integer:
    """A whole number from `minimum` to `maximum`, both included."""

    minimum: int
    maximum: int
    noun: str = ""  #: "a replica count"; by default made of the field's name

    def usage(self, field: str) -> str:
        return f"{field} {self.minimum}-{self.maximum}"

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> int:
        word = tokens.next_word()
        if not word:
            wanted = self.noun.removeprefix("a ") or slot.noun
            raise slot.missing(f"Which {wanted}, {self.minimum} to {self.maximum}?")
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

    def usage(self, field: str) -> str:  # noqa: ARG002 - it does not depend on the field
        return "duration"

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> timedelta:
        word = tokens.next_word()
        if not word:
            raise slot.missing(
                f"How long, {spell_duration(self.minimum)} to {spell_duration(self.maximum)}, such as 30m?"
            )
        found = _SPAN.fullmatch(word)
        if found is None:
            raise slot.refusal(f"{shorten(word)} is not a duration such as 90s, 30m, 2h or 1d12h.")
        days, hours, minutes, seconds = (int(digits or 0) for digits in found.groups())
        long = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if not self.minimum <= long <= self.maximum:
            limits = f"{spell_duration(self.minimum)} and {spell_duration(self.maximum)}"
            raise slot.refusal(f"{shorten(word)} is not between {limits}.")
        return long

    def format(self, value: object) -> str:
        assert isinstance(value, timedelta)
        return spell(value)


@dataclass(frozen=True)
class Name:
    """A name or path as DNS allows them: `api`, `prod/api`. If names of its sort are known, it has to be one of those.
    Its last part is enough if only one known name ends so.
    """

    of: str = ""  #: the sort under which known names are listed; by default the field's name

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
    """One of a few words, in upper or lower case. The value is the choice as declared, such as a member of an enum."""

    def __init__(self, *choices: str) -> None:
        self.choices = {str(choice): choice for choice in choices}

    def usage(self, field: str) -> str:  # noqa: ARG002 - the choices say what it is
        return "|".join(self.choices)

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        word = tokens.next_word()
        if not word:
            raise slot.missing(f"Which {slot.noun}: {spell_list(self.choices)}?")
        choice = self.choices.get(word.lower()) if word.isascii() else None
        if choice is not None:
            return choice
        near = nearest(word, self.choices)
        more = f"Did you mean `{near}`?" if near else f"It must be {spell_list(self.choices)}."
        raise slot.refusal(f"{shorten(word)} is not a valid value for {slot.noun}. {more}")

    def format(self, value: object) -> str:
        return str(value)


#: Where the ids are that a `Handle` may be.
_LISTS = {"run": " `runs` lists the last runs.", "plan": " `approvals` lists the plans that wait."}


@dataclass(frozen=True)
class Handle:
    """The first characters of the id of a plan or a run, in lower-case hex."""

    placeholder: str = ""  #: its name in the usage line; the field's name by default

    def usage(self, field: str) -> str:
        return self.placeholder or field

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        word = tokens.next_word()
        if not word:
            raise slot.missing(f"Which {self.placeholder}?" if self.placeholder else "")
        if not _HANDLE.fullmatch(word):
            lists = _LISTS.get(self.placeholder or slot.field, "")
            raise slot.refusal(f"{shorten(word)} is not a valid id: 4 to 64 characters of 0-9 and a-f.{lists}")
        return word

    def format(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True)
class BackupId:
    """The id of a backup, or its first characters: a label, a file's name, an ARN. It is only looked up in a list."""

    def usage(self, field: str) -> str:
        return field

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        word = tokens.next_word()
        if not word:
            raise slot.missing()
        if not _BACKUP.fullmatch(word):
            raise slot.refusal(f"{shorten(word)} is not a backup's id: letters, digits and ._:/@+=- only.")
        return word

    def format(self, value: object) -> str:
        return quote_if_needed(str(value))


@dataclass(frozen=True)
class FreeText:
    """The rest of the line, as it was typed. After a keyword it may be put in double quotes."""

    max_length: int = 2000
    question: str = ""  #: asked if it is missing: "What should the note say?"
    placeholder: str = "text"  #: its name in the usage line

    def usage(self, field: str) -> str:  # noqa: ARG002 - the field's name would say less than "text"
        return self.placeholder

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        return self.check(tokens.remainder(), slot)

    def check(self, message: str, slot: ArgumentSlot) -> str:
        if not message:
            raise slot.missing(self.question or f"What should the {slot.noun} say?")
        if len(message) > self.max_length:
            reason = f"The text has {len(message)} characters; the limit is {self.max_length}."
            raise slot.refusal(reason, code="too_long")
        return message

    def format(self, value: object) -> str:
        return str(value)


@dataclass(frozen=True)
class IncidentNumber:
    """`42` or `#42`; in an incident's thread it may be left out. A button sends `42-9f3ab2c1d4e5`.

    In a thread, if the next argument may begin with a number ("3 pods restarted"), only `#3` or the thread's own number
    is read as an incident number.
    """

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
    """Label matchers, one per word: `name=value`, `name!=value`, `name=~regex`, `name!~regex`; values may be quoted."""

    def usage(self, field: str) -> str:  # noqa: ARG002 - the syntax says more than a name
        return "name=value ..."

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> tuple[Matcher, ...]:
        taken: list[Matcher] = []
        while found := _MATCHER.match(tokens.rest):
            if not tokens.rest[found.end() :][:1].strip():
                raise slot.refusal(
                    f'There is no value after {found[0]}. To match alerts without this label, type {found[0]}"".'
                )
            tokens.take(found.end())
            taken.append(Matcher(name=found[1], op=found[2], value=self._value(tokens, slot, found[0])))
        if not taken and tokens.rest:
            forms = "name=value, name!=value, name=~regex or name!~regex"
            raise slot.refusal(f"{shorten(tokens.peek())} is not of the form {forms}.")
        if not taken:
            raise slot.missing("Which labels, such as alertname=HighErrorRate?")
        if len(taken) > _MOST_MATCHERS:
            raise slot.refusal(f"There are {len(taken)} matchers; the limit is {_MOST_MATCHERS}.", code="too_long")
        return tuple(taken)

    def format(self, value: object) -> str:
        assert isinstance(value, tuple)
        return " ".join(f"{one.name}{one.op}{quote(one.value)}" for one in value)

    def _value(self, tokens: Tokens, slot: ArgumentSlot, label: str) -> str:
        quoted = tokens.rest[:1] in {'"', "'"}
        value = tokens.next_word()
        if len(value) > _LONGEST_VALUE:
            raise slot.refusal(f"The value of {label} is longer than {_LONGEST_VALUE} characters.", code="too_long")
        if not quoted and ('"' in value or "'" in value):
            raise slot.refusal(f"There is a quote inside {shorten(label + value)}. Put the whole value in quotes.")
        return value
