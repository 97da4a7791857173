"""All that can be said, by verb: what `commands/` holds, as the gate and its parts are given it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bot.access.break_glass import BreakGlass
from bot.access.identity import People
from bot.chatops import forms, parser
from bot.core.command import KnownNames
from bot.core.form import Form, SubmittedForm
from bot.core.plan import Proposal
from bot.core.registry import Registry
from bot.core.request import Request, split_verb


def args_of(registry: Registry, proposal: Proposal) -> object:
    """A plan's words, read again."""
    _, rest = split_verb(proposal.command)
    action = registry.actions[proposal.verb]
    return parser.parse(action.args, rest, proposal.incident_id, action.usage)


@dataclass(frozen=True, kw_only=True)
class RequestParts:
    """What every ask is served with."""

    registry: Registry
    break_glass: BreakGlass  #: with the rights


def known_names(people: People, services: Sequence[str], registry: Registry, request: Request) -> KnownNames:
    """The names that may be said. A person is also their account where it is said, and the asker is `me`.

    `services`: where none is listed, any well-formed name is taken.
    """
    mentioned = {account: one for (place, account), one in people.accounts.items() if place == request.channel}
    names: dict[str, Collection[str]] = {
        "person": {**mentioned, **{one: one for one in people.persons}, "me": request.by.id},
        "command": tuple(registry.all),
    }
    return {**names, "service": services} if services else names


def form_of(parts: RequestParts, request: Request) -> Form | None:
    """The form of a verb that was said without its arguments, where the asker may say it somewhere, some time."""
    verb, rest = split_verb(request.text)
    message, rights = parts.registry.all.get(verb), parts.break_glass.authorizer
    if message is None or rest or not request.by.id or not rights.ever_allowed(request.by, verb):
        return None
    action = parts.registry.actions.get(verb)
    limits = action.limits if action else {}
    return forms.form_of(message, known=rights.known_names(request), here=request.incident_id, limits=limits)


def fill(parts: RequestParts, request: Request, values: Mapping[str, str]) -> SubmittedForm:
    """Whether they may say it is decided when the words are asked. Of a verb that is no more, and for somebody who is
    not known, only the verb is left, to be refused like any other words."""
    verb, _ = split_verb(request.text)
    message = parts.registry.all.get(verb)
    if message is None or not request.by.id:
        return SubmittedForm(text=verb)
    return forms.fill(
        message, values, known=parts.break_glass.authorizer.known_names(request), here=request.incident_id
    )
