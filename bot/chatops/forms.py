"""A verb's arguments as a form, and a filled-in form as the command that it stands for. Pure.

The form is made of the same arguments that the parser reads, and each field is parsed by its own argument type. So a
new verb has a form without further work, and a form accepts nothing that could not have been typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.chatops import parser
from bot.chatops.arguments import (
    ArgumentType,
    BackupId,
    Duration,
    FreeText,
    Handle,
    IncidentNumber,
    Integer,
    Matchers,
    Name,
    OneOf,
    Person,
)
from bot.chatops.parser import Argument
from bot.core.action import Action
from bot.core.command import Command, KnownNames
from bot.core.errors import Rejected
from bot.core.form import Form, FormField, SubmittedForm
from bot.lib.text import spell_duration

_MIN_ARGUMENTS = 2  #: a single one is faster typed


def form_of(
    command: Command[Any] | Action[Any], *, known: KnownNames, here: int | None = None, limits: Mapping[str, str]
) -> Form | None:
    """None if the verb needs no argument, or has only one. `here`: the incident of the thread."""
    parts = parser.arguments_of(command.args)
    if len(parts) < _MIN_ARGUMENTS or all(part.optional for part in parts):
        return None
    return Form(
        verb=command.verb,
        summary=command.summary,
        fields=tuple(_form_field(part, known, here) for part in parts),
        limits=tuple(f"{name}: {limit}" for name, limit in limits.items()),
    )


def fill(
    command: Command[Any] | Action[Any], values: Mapping[str, str], *, known: KnownNames, here: int | None = None
) -> SubmittedForm:
    """`values`: by the names of the fields; one that is absent was left empty."""
    taken: dict[str, object] = {}
    wrong: dict[str, str] = {}
    for part in parser.arguments_of(command.args):
        value = values.get(part.name, "").strip()
        if part.optional and not value:
            continue
        try:
            taken[part.name] = parser.parse_argument(part, value, here, command.usage, known=known)
        except Rejected as refused:
            wrong[part.name] = refused.message.partition(" Usage: ")[0]  # the form shows it
    if wrong:
        return SubmittedForm(errors=wrong)
    return SubmittedForm(text=f"{command.verb} {parser.format_arguments(command.args(**taken))}".strip())


def _form_field(part: Argument, known: KnownNames, here: int | None) -> FormField:
    kind = part.type
    return FormField(
        name=part.name,
        label=(part.keyword or part.name).replace("_", " ").capitalize(),
        hint=_hint(part),
        optional=part.optional or (here is not None and isinstance(kind, IncidentNumber)),
        choices=_choices(part, known),
        max_length=kind.max_length if isinstance(kind, FreeText) else None,
        multiline=isinstance(kind, FreeText),
    )


def _choices(part: Argument, known: KnownNames) -> tuple[str, ...]:
    kind = part.type
    if isinstance(kind, OneOf):
        return tuple(kind.choices)
    return tuple(sorted(known.get(kind.of or part.name, ()))) if isinstance(kind, Name) else ()


def _hint(part: Argument) -> str:
    kind: ArgumentType = part.type
    match kind:
        case Integer():
            message = f"{kind.minimum} to {kind.maximum}"
        case Duration():
            message = f"{spell_duration(kind.minimum)} to {spell_duration(kind.maximum)}, such as 90s, 30m, 2h or 1d12h"
        case Matchers():
            message = "One or more of name=value, name!=value, name=~regex, name!~regex, separated by spaces"
        case Person():
            message = "Such as ana or @ana; me is you"
        case IncidentNumber():
            message = "Its number, such as 42"
        case Handle():
            message = "Its first characters, at least 4"
        case BackupId():
            message = "Its id, or the first characters of it"
        case FreeText():
            message = kind.question
        case OneOf() | Name():
            message = ""
        case _:
            message = kind.usage(part.name).replace("|", " or ")
    return message
