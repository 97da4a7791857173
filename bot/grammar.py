"""The one grammar: the words after a verb to a command's typed arguments, and back. Pure, the same for every mouth.

A command declares a frozen dataclass whose fields are annotated with their `kinds`. Fields without `After` come first,
in their order; those with it may follow in any order, each behind its word. What is not understood is refused whole.

The trap: the text of a clause goes on to the end of the line, so a clause behind it would be swallowed, and "because
of the load for 30m" would be done for ever. Where its end could be a clause that was not given, it is asked back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from bot.kinds import After, Count, IncidentNumber, Kind, Text
from bot.ports import Rejected
from bot.sentence import Known, Line, Slot, nearest, quote, short

A = TypeVar("A")

_NOTHING_KNOWN: Known = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One argument: one field of an args dataclass."""

    name: str
    kind: Kind
    word: str  #: the word it stands behind, "" where it has none
    default: object  #: MISSING where it has to be said
    loose: bool = False  #: what follows it may begin with a number

    @property
    def optional(self) -> bool:
        return self.default is not MISSING


def read(kind: type[A], rest: str, here: int | None, usage: str, *, known: Known = _NOTHING_KNOWN) -> A:
    """The arguments of type `kind` in the words after the verb.

    Args:
        here: the incident in whose thread it was said.
        known: the names that exist, by what they are of: {"service": [...], "person": {"U1": "ana", "ana": "ana"}}.
            Where a sort is not in it, any well-formed name is taken.

    Raises:
        Rejected: what is wrong, that nothing was done, and the usage.
    """
    reading = _Reading(parts(kind), Line(rest, usage), Slot(field="", usage=usage, here=here, known=known))
    reading.take_plain()
    reading.take_clauses()
    return kind(**reading.values)


def usage(kind: type, verb: str) -> str:
    """ "scale <service> <replicas 0-50> [for <duration>]"."""
    return " ".join([verb, *map(_shape, parts(kind))])


def write(args: object) -> str:
    """The words after the verb that `read` takes for these arguments, wherever they are said."""
    return " ".join(_written(args))


def parts(kind: type) -> tuple[Part, ...]:
    """The arguments of that type, those without a word first.

    Raises:
        TypeError: the dataclass cannot be read: a bug of its author, which the contract test of commands finds.
    """
    hints = get_type_hints(kind, include_extras=True)
    made = [_field(one.name, hints[one.name], one.default) for one in fields(kind)]
    plain = [one for one in made if not one.word]
    clauses = [one for one in made if one.word]
    if any(isinstance(one.kind, Text) for one in (plain if clauses else plain[:-1])):
        raise TypeError(f"{kind.__qualname__}: nothing can follow a Text that has no word of its own")
    followed = [replace(one, loose=isinstance(after.kind, Text | Count)) for one, after in pairwise(plain)]
    return (*followed, *plain[-1:], *clauses)


def numbers(args: object) -> dict[str, int]:
    """The incidents' numbers among the arguments, by their fields."""
    named = [one.name for one in parts(type(args)) if isinstance(one.kind, IncidentNumber)]
    return {name: number for name in named if isinstance(number := getattr(args, name), int)}


def read_part(part: Part, said: str, here: int | None, usage: str, *, known: Known = _NOTHING_KNOWN) -> object:
    """One argument alone, from words that are all its own; else as `read`."""
    line = Line(said, usage)
    slot = Slot(field=part.name, usage=usage, here=here, known=known)
    value = part.kind.take(line, slot)
    if line.rest:
        raise slot.wrong(f"{short(line.rest)} is not understood.")
    return value


class _Reading:
    """One sentence while it is read."""

    def __init__(self, of: tuple[Part, ...], line: Line, slot: Slot) -> None:
        self.values: dict[str, Any] = {}
        self._line = line
        self._slot = slot
        self._plain = [one for one in of if not one.word]
        self._clauses = {one.word: one for one in of if one.word}
        self._last = ""  #: what was read last, for "after the ..."

    def take_plain(self) -> None:
        for one in self._plain:
            if one.optional and (not self._line.rest or self._line.peek() in self._clauses):
                continue
            before = self._line.rest
            self.values[one.name] = one.kind.take(self._line, self._at(one))
            if self._line.rest != before:
                self._last = "incident's number" if isinstance(one.kind, IncidentNumber) else one.name.replace("_", " ")

    def take_clauses(self) -> None:
        while self._line.rest:
            one = self._next_clause()
            self.values[one.name] = self._text(one) if isinstance(one.kind, Text) else self._take(one)
            self._last = f"`{one.word}`"
        for one in self._clauses.values():
            if one.name not in self.values and not one.optional:
                raise self._slot.wrong(f"`{one.word} <{one.kind.shape(one.name)}>` is missing.", code="missing")

    def _next_clause(self) -> Part:
        word = self._line.peek()
        one = self._clauses.get(word)
        if one is None:
            raise self._not_understood(word)
        if one.name in self.values:
            raise self._slot.wrong(f"`{word}` was said twice.")
        self._line.take(len(word))
        return one

    def _take(self, one: Part) -> object:
        return one.kind.take(self._line, self._at(one))

    def _text(self, one: Part) -> str:
        """The text in quotes where they hold all of it, else the rest of the line."""
        assert isinstance(one.kind, Text)
        quoted = self._quoted() if self._line.rest.startswith('"') else None
        if quoted is not None:
            return one.kind.check(quoted, self._at(one))
        said = one.kind.take(self._line, self._at(one))
        for other in self._clauses.values():
            if other is not one and other.name not in self.values and self._ends_with(said, other):
                raise self._slot.wrong(
                    f"Is `{other.word}` at the end a part of the text?"
                    f" Put it before `{one.word}`, or the whole text into double quotes.",
                    code="ambiguous",
                )
        return said

    def _quoted(self) -> str | None:
        ahead = Line(self._line.rest, self._slot.usage)
        try:
            said = ahead.quoted()
        except Rejected:
            return None
        if ahead.rest and ahead.peek() not in self._clauses:
            return None
        self._line.rest = ahead.rest
        return said

    def _ends_with(self, said: str, clause: Part) -> bool:
        """Whether the end of that text could be read as the clause."""
        _, found, tail = f" {said}".rpartition(f" {clause.word} ")
        line = Line(tail, self._slot.usage)
        try:
            return bool(found) and clause.kind.take(line, self._at(clause)) is not None and not line.rest
        except Rejected:
            return False

    def _not_understood(self, word: str) -> Rejected:
        near = nearest(word, self._clauses)
        if near:
            return self._slot.wrong(f"{short(word)} is not understood. Did you mean `{near}`?")
        after = f" after the {self._last}" if self._last else ""
        return self._slot.wrong(f"{short(self._line.rest)}{after} is not understood.")

    def _at(self, one: Part) -> Slot:
        return replace(self._slot, field=one.name, loose=one.loose)


def _field(name: str, hint: object, default: object) -> Part:
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    kinds = [mark for mark in marks if hasattr(mark, "take")]
    words = [mark.word for mark in marks if isinstance(mark, After)]
    if len(kinds) != 1 or len(words) > 1:
        raise TypeError(f"the field {name} needs one kind, Annotated[..., Name()], and no more than one After")
    return Part(name=name, kind=kinds[0], word="".join(words), default=default)


def _shape(one: Part) -> str:
    said = f"<{one.kind.shape(one.name)}>"
    said = f"{one.word} {said}" if one.word else said
    return f"[{said}]" if one.optional else said


def _written(args: object) -> Iterator[str]:
    for one in parts(type(args)):
        value = getattr(args, one.name)
        if one.optional and value == one.default:
            continue
        if one.word:
            yield one.word
        yield quote(value) if one.word and isinstance(one.kind, Text) else one.kind.write(value)
