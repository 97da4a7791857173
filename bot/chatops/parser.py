"""The one parser: the text after a verb to a command's typed arguments, and back. Pure, the same for every channel.

A command declares a frozen dataclass whose fields are annotated with an argument type (`arguments`). Fields without
`Keyword` come first, in their order; those with it are clauses and may follow in any order, each behind its keyword. If
any part of a line is not understood, the whole line is refused.

The trap: the free text of a clause goes on to the end of the line and would swallow a clause behind it: "because of the
load for 30m" would then never be undone. If the end of the text could be a missing clause, the line is refused with a
question.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from bot.chatops.arguments import ArgumentType, FreeText, IncidentNumber, Integer, Keyword, OneOf
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
    keyword: str  #: the word in front of it, "" if it has none
    default: object  #: MISSING if it is required
    number_may_follow: bool = False  #: the next argument may begin with a number

    @property
    def optional(self) -> bool:
        return self.default is not MISSING


def parse(kind: type[A], rest: str, here: int | None, usage: str, *, known: KnownNames = _NOTHING_KNOWN) -> A:
    """The arguments of type `kind` in the text after the verb.

    Args:
        here: the incident of the thread.
        known: the existing names, by sort: {"service": [...], "person": {"U1": "ana", "ana": "ana"}}. For a sort that
            is not in it, any well-formed name is accepted.

    Raises:
        Rejected: what is wrong, that nothing was done, and the usage.
    """
    line_parser = _LineParser(
        arguments_of(kind), Tokens(rest, usage), ArgumentSlot(field="", usage=usage, thread_incident=here, known=known)
    )
    line_parser.take_plain()
    line_parser.take_clauses()
    return kind(**line_parser.values)


def usage(kind: type, verb: str) -> str:
    """ "scale <service> <replicas 0-50> [for <duration>]"."""
    return " ".join([verb, *map(_usage_part, arguments_of(kind))])


def format_arguments(args: object) -> str:
    """The text after the verb that `parse` reads as these arguments, in any channel or thread."""
    return " ".join(_format_parts(args))


def arguments_of(kind: type) -> tuple[Argument, ...]:
    """The arguments of that type, those without a keyword first.

    Raises:
        TypeError: the dataclass is not valid. The contract test of all commands finds that.
    """
    hints = get_type_hints(kind, include_extras=True)
    made = [_field(one.name, hints[one.name], one.default) for one in fields(kind)]
    plain = [one for one in made if not one.keyword]
    clauses = [one for one in made if one.keyword]
    if any(isinstance(one.type, FreeText) for one in (plain if clauses else plain[:-1])):
        raise TypeError(f"{kind.__qualname__}: nothing can follow a FreeText that has no Keyword")
    followed = [
        replace(one, number_may_follow=isinstance(after.type, FreeText | Integer)) for one, after in pairwise(plain)
    ]
    return (*followed, *plain[-1:], *clauses)


def incident_numbers(args: object) -> dict[str, int]:
    """The incident numbers among the arguments, by field."""
    named = [one.name for one in arguments_of(type(args)) if isinstance(one.type, IncidentNumber)]
    return {name: number for name in named if isinstance(number := getattr(args, name), int)}


def parse_argument(
    part: Argument, message: str, here: int | None, usage: str, *, known: KnownNames = _NOTHING_KNOWN
) -> object:
    """One argument from a text of its own, such as a field of a form; else as `parse`."""
    line = Tokens(message, usage)
    slot = ArgumentSlot(field=part.name, usage=usage, thread_incident=here, known=known)
    value = part.type.parse(line, slot)
    if line.rest:
        raise slot.refusal(f"{shorten(line.rest)} is not understood.")
    return value


class _LineParser:
    """One line while it is parsed."""

    def __init__(self, of: tuple[Argument, ...], tokens: Tokens, slot: ArgumentSlot) -> None:
        self.values: dict[str, Any] = {}
        self._tokens = tokens
        self._slot = slot
        self._plain = [one for one in of if not one.keyword]
        self._clauses = {one.keyword: one for one in of if one.keyword}
        self._last = ""  #: the last argument that was read, for "after the ..."

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
                raise self._slot.refusal(f"`{one.keyword} {_placeholder(one)}` is missing.", code="missing")

    def _next_clause(self) -> Argument:
        word = self._tokens.peek()
        one = self._clauses.get(word)
        if one is None:
            raise self._not_understood(word)
        if one.name in self.values:
            raise self._slot.refusal(f"`{word}` is given twice.")
        self._tokens.take(len(word))
        return one

    def _take(self, one: Argument) -> object:
        return one.type.parse(self._tokens, self._at(one))

    def _text(self, one: Argument) -> str:
        """The quoted text if the quotes hold all of it, else the rest of the line."""
        assert isinstance(one.type, FreeText)
        quoted = self._quoted() if self._tokens.rest.startswith('"') else None
        if quoted is not None:
            return one.type.check(quoted, self._at(one))
        message = one.type.parse(self._tokens, self._at(one))
        for other in self._clauses.values():
            if other is not one and other.name not in self.values and self._ends_with(message, other):
                raise self._slot.refusal(
                    f"Is `{other.keyword}` at the end part of the text?"
                    f" If not, put it before `{one.keyword}`; else put the text in double quotes.",
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
        """Whether the end of that text could be parsed as the clause."""
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
    keywords = [mark.keyword for mark in marks if isinstance(mark, Keyword)]
    if len(kinds) != 1 or len(keywords) > 1:
        raise TypeError(f"the field {name} needs one argument type, Annotated[..., Name()], and at most one Keyword")
    return Argument(name=name, type=kinds[0], keyword="".join(keywords), default=default)


def _placeholder(one: Argument) -> str:
    """What is to be typed: `<name>`, or the word itself where only one is possible."""
    usage = one.type.usage(one.name)
    return usage if isinstance(one.type, OneOf) and len(one.type.choices) == 1 else f"<{usage}>"


def _usage_part(one: Argument) -> str:
    message = _placeholder(one)
    message = f"{one.keyword} {message}" if one.keyword else message
    return f"[{message}]" if one.optional else message


def _format_parts(args: object) -> Iterator[str]:
    for one in arguments_of(type(args)):
        value = getattr(args, one.name)
        if one.optional and value == one.default:
            continue
        if one.keyword:
            yield one.keyword
        yield quote(value) if one.keyword and isinstance(one.type, FreeText) else one.type.format(value)
