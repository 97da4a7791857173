"""The one grammar: the words after a verb to a command's typed arguments, and back. Pure, the same for every mouth.

A command declares a frozen dataclass whose fields are annotated with their `kinds`. Fields without `Keyword` come
first, in their order; those with it may follow in any order, each behind its word. What is not understood is refused
whole.

The trap: the text of a clause goes on to the end of the line, so a clause behind it would be swallowed, and "because
of the load for 30m" would be done for ever. Where its end could be a clause that was not given, it is asked back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from bot.chatops.arguments import ArgumentType, FreeText, IncidentNumber, Integer, Keyword
from bot.chatops.tokens import ArgumentSlot, Tokens, nearest, quote, shorten
from bot.core.command import KnownNames
from bot.core.errors import Rejected

A = TypeVar("A")

_NOTHING_KNOWN: KnownNames = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """One argument: one field of an args dataclass."""

    name: str
    type: ArgumentType
    keyword: str  #: the word it stands behind, "" where it has none
    default: object  #: MISSING where it has to be said
    number_may_follow: bool = False  #: what follows it may begin with a number

    @property
    def optional(self) -> bool:
        return self.default is not MISSING


def parse(kind: type[A], rest: str, here: int | None, usage: str, *, known: KnownNames = _NOTHING_KNOWN) -> A:
    """The arguments of type `kind` in the words after the verb.

    Args:
        here: the incident in whose thread it was said.
        known: the names that exist, by what they are of: {"service": [...], "person": {"U1": "ana", "ana": "ana"}}.
            Where a sort is not in it, any well-formed name is taken.

    Raises:
        Rejected: what is wrong, that nothing was done, and the usage.
    """
    reading = _Reading(
        arguments_of(kind), Tokens(rest, usage), ArgumentSlot(field="", usage=usage, thread_incident=here, known=known)
    )
    reading.take_plain()
    reading.take_clauses()
    return kind(**reading.values)


def usage(kind: type, verb: str) -> str:
    """ "scale <service> <replicas 0-50> [for <duration>]"."""
    return " ".join([verb, *map(_shape, arguments_of(kind))])


def format_arguments(args: object) -> str:
    """The words after the verb that `parse` takes for these arguments, wherever they are said."""
    return " ".join(_written(args))


def arguments_of(kind: type) -> tuple[Argument, ...]:
    """The arguments of that type, those without a word first.

    Raises:
        TypeError: the dataclass cannot be read: a bug of its author, which the contract test of commands finds.
    """
    hints = get_type_hints(kind, include_extras=True)
    made = [_field(one.name, hints[one.name], one.default) for one in fields(kind)]
    plain = [one for one in made if not one.keyword]
    clauses = [one for one in made if one.keyword]
    if any(isinstance(one.type, FreeText) for one in (plain if clauses else plain[:-1])):
        raise TypeError(f"{kind.__qualname__}: nothing can follow a Text that has no word of its own")
    followed = [
        replace(one, number_may_follow=isinstance(after.type, FreeText | Integer)) for one, after in pairwise(plain)
    ]
    return (*followed, *plain[-1:], *clauses)


def incident_numbers(args: object) -> dict[str, int]:
    """The incidents' numbers among the arguments, by their fields."""
    named = [one.name for one in arguments_of(type(args)) if isinstance(one.type, IncidentNumber)]
    return {name: number for name in named if isinstance(number := getattr(args, name), int)}


def parse_argument(
    part: Argument, message: str, here: int | None, usage: str, *, known: KnownNames = _NOTHING_KNOWN
) -> object:
    """One argument alone, from words that are all its own; else as `parse`."""
    line = Tokens(message, usage)
    slot = ArgumentSlot(field=part.name, usage=usage, thread_incident=here, known=known)
    value = part.type.parse(line, slot)
    if line.rest:
        raise slot.refusal(f"{shorten(line.rest)} is not understood.")
    return value


class _Reading:
    """One sentence while it is read."""

    def __init__(self, of: tuple[Argument, ...], tokens: Tokens, slot: ArgumentSlot) -> None:
        self.values: dict[str, Any] = {}
        self._tokens = tokens
        self._slot = slot
        self._plain = [one for one in of if not one.keyword]
        self._clauses = {one.keyword: one for one in of if one.keyword}
        self._last = ""  #: what was read last, for "after the ..."

    def take_plain(self) -> None:
        for one in self._plain:
            if one.optional and (not self._tokens.rest or self._tokens.peek() in self._clauses):
                continue
            before = self._tokens.rest
            self.values[one.name] = one.type.parse(self._tokens, self._at(one))
            if self._tokens.rest != before:
                self._last = "incident's number" if isinstance(one.type, IncidentNumber) else one.name.replace("_", " ")

    def take_clauses(self) -> None:
        while self._tokens.rest:
            one = self._next_clause()
            self.values[one.name] = self._text(one) if isinstance(one.type, FreeText) else self._take(one)
            self._last = f"`{one.keyword}`"
        for one in self._clauses.values():
            if one.name not in self.values and not one.optional:
                raise self._slot.refusal(f"`{one.keyword} <{one.type.usage(one.name)}>` is missing.", code="missing")

    def _next_clause(self) -> Argument:
        word = self._tokens.peek()
        one = self._clauses.get(word)
        if one is None:
            raise self._not_understood(word)
        if one.name in self.values:
            raise self._slot.refusal(f"`{word}` was said twice.")
        self._tokens.take(len(word))
        return one

    def _take(self, one: Argument) -> object:
        return one.type.parse(self._tokens, self._at(one))

    def _text(self, one: Argument) -> str:
        """The text in quotes where they hold all of it, else the rest of the line."""
        assert isinstance(one.type, FreeText)
        quoted = self._quoted() if self._tokens.rest.startswith('"') else None
        if quoted is not None:
            return one.type.check(quoted, self._at(one))
        message = one.type.parse(self._tokens, self._at(one))
        for other in self._clauses.values():
            if other is not one and other.name not in self.values and self._ends_with(message, other):
                raise self._slot.refusal(
                    f"Is `{other.keyword}` at the end a part of the text?"
                    f" Put it before `{one.keyword}`, or the whole text into double quotes.",
                    code="ambiguous",
                )
        return message

    def _quoted(self) -> str | None:
        ahead = Tokens(self._tokens.rest, self._slot.usage)
        try:
            message = ahead.next_quoted()
        except Rejected:
            return None
        if ahead.rest and ahead.peek() not in self._clauses:
            return None
        self._tokens.rest = ahead.rest
        return message

    def _ends_with(self, message: str, clause: Argument) -> bool:
        """Whether the end of that text could be read as the clause."""
        _, found, tail = f" {message}".rpartition(f" {clause.keyword} ")
        line = Tokens(tail, self._slot.usage)
        try:
            return bool(found) and clause.type.parse(line, self._at(clause)) is not None and not line.rest
        except Rejected:
            return False

    def _not_understood(self, word: str) -> Rejected:
        near = nearest(word, self._clauses)
        if near:
            return self._slot.refusal(f"{shorten(word)} is not understood. Did you mean `{near}`?")
        after = f" after the {self._last}" if self._last else ""
        return self._slot.refusal(f"{shorten(self._tokens.rest)}{after} is not understood.")

    def _at(self, one: Argument) -> ArgumentSlot:
        return replace(self._slot, field=one.name, number_may_follow=one.number_may_follow)


def _field(name: str, hint: object, default: object) -> Argument:
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    kinds = [mark for mark in marks if hasattr(mark, "parse")]
    words = [mark.keyword for mark in marks if isinstance(mark, Keyword)]
    if len(kinds) != 1 or len(words) > 1:
        raise TypeError(f"the field {name} needs one kind, Annotated[..., Name()], and no more than one After")
    return Argument(name=name, type=kinds[0], keyword="".join(words), default=default)


def _shape(one: Argument) -> str:
    message = f"<{one.type.usage(one.name)}>"
    message = f"{one.keyword} {message}" if one.keyword else message
    return f"[{message}]" if one.optional else message


def _written(args: object) -> Iterator[str]:
    for one in arguments_of(type(args)):
        value = getattr(args, one.name)
        if one.optional and value == one.default:
            continue
        if one.keyword:
            yield one.keyword
        yield quote(value) if one.keyword and isinstance(one.type, FreeText) else one.type.format(value)
