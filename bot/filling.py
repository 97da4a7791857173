"""A verb's arguments as a form, and what was filled in as the words that would have said it. Pure.

The form is made of the same fields that the grammar reads, and each blank is read by its own kind. So a verb that is
added has its form by that, and nothing can be filled in that could not have been typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot import grammar
from bot.acting import Action
from bot.forms import Blank, Filled, Form
from bot.grammar import Part
from bot.kinds import Count, Handle, IncidentNumber, Kind, Matchers, Name, OneOf, Person, Span, Text, spell
from bot.ports import Command, Rejected
from bot.sentence import Known

_SEVERAL = 2  #: arguments; a single one is quicker typed


def form_of(
    said: Command[Any] | Action[Any], *, known: Known, here: int | None = None, limits: Mapping[str, str]
) -> Form | None:
    """None where the verb alone says all, or lacks one word only. `here`: in whose thread it was said."""
    parts = grammar.parts(said.args)
    if len(parts) < _SEVERAL or all(part.optional for part in parts):
        return None
    return Form(
        verb=said.verb,
        says=said.says,
        blanks=tuple(_blank(part, known, here) for part in parts),
        limits=tuple(f"{name}: {limit}" for name, limit in limits.items()),
    )


def fill(
    said: Command[Any] | Action[Any], values: Mapping[str, str], *, known: Known, here: int | None = None
) -> Filled:
    """`values`: by the blanks' names; one that is absent was left empty."""
    taken: dict[str, object] = {}
    wrong: dict[str, str] = {}
    for part in grammar.parts(said.args):
        value = values.get(part.name, "").strip()
        if part.optional and not value:
            continue
        try:
            taken[part.name] = grammar.read_part(part, value, here, said.usage, known=known)
        except Rejected as refused:
            wrong[part.name] = refused.said.partition(" Usage: ")[0]  # the form shows it
    if wrong:
        return Filled(wrong=wrong)
    return Filled(words=f"{said.verb} {grammar.write(said.args(**taken))}".strip())


def _blank(part: Part, known: Known, here: int | None) -> Blank:
    kind = part.kind
    return Blank(
        name=part.name,
        label=(part.word or part.name).replace("_", " ").capitalize(),
        hint=_hint(part),
        optional=part.optional or (here is not None and isinstance(kind, IncidentNumber)),
        choices=_choices(part, known),
        most=kind.most if isinstance(kind, Text) else None,
        long=isinstance(kind, Text),
    )


def _choices(part: Part, known: Known) -> tuple[str, ...]:
    kind = part.kind
    if isinstance(kind, OneOf):
        return tuple(kind.choices)
    return tuple(sorted(known.get(kind.of or part.name, ()))) if isinstance(kind, Name) else ()


def _hint(part: Part) -> str:
    kind: Kind = part.kind
    match kind:
        case Count():
            said = f"{kind.least} to {kind.most}"
        case Span():
            said = f"{spell(kind.least)} to {spell(kind.most)}, such as 90s, 30m, 2h or 1d12h"
        case Matchers():
            said = "One or more of name=value, name!=value, name=~regex, name!~regex, with spaces between them"
        case Person():
            said = "Such as ana or @ana; me is you"
        case IncidentNumber():
            said = "Its number, such as 42"
        case Handle():
            said = "Its first characters, at least 4"
        case Text():
            said = kind.asked
        case OneOf() | Name():
            said = ""
        case _:
            said = kind.shape(part.name).replace("|", " or ")
    return said
