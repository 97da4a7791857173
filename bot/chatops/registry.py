"""What the dispatcher needs of the registry: arguments of stored plans, known names, and forms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bot.access.break_glass import BreakGlass
from bot.access.identity import People
from bot.chatops import forms, parser
from bot.core.command import KnownNames
from bot.core.form import Form, SubmittedForm
from bot.core.plan import Proposal
from bot.core.registry import Registry
from bot.core.request import Request, split_verb
from bot.core.site import ServiceTargets
from bot.notifications.card import CardSettings
from bot.oncall.duties import Duties

PAGE = "page"


def args_of(registry: Registry, proposal: Proposal) -> object:
    """The arguments of a plan, parsed again from its command."""
    _, rest = split_verb(proposal.command)
    action = registry.actions[proposal.verb]
    return parser.parse(action.args, rest, proposal.incident_id, action.usage)


@dataclass(frozen=True, kw_only=True)
class RequestParts:
    """The objects that every request needs."""

    registry: Registry
    break_glass: BreakGlass  #: with the authorizer
    cards: CardSettings = field(default_factory=CardSettings)  #: what `show` takes from the settings, as a card does
    services_seen: Callable[[], Collection[str]] = tuple  #: the services of incidents; empty when it cannot be read
    duties: Duties | None = None  #: who is on call at any time; None: nobody, and no rota
    targets: ServiceTargets | None = None  #: the services that run in a cluster; None: no cluster is set up


def known_names(
    people: People,
    services: Sequence[str],
    request: Request,
    *,
    stores: Collection[str] = (),
    rotas: Collection[str] = (),
) -> KnownNames:
    """The names that arguments may use. A person may also be named by their account in that channel, or by `me`.

    `services`, `stores` of backups, `rotas`: if none is configured, any well-formed name is accepted.
    """
    mentioned = {account: one for (channel, account), one in people.accounts.items() if channel == request.channel}
    names: dict[str, Collection[str]] = {
        "person": {**mentioned, **{one: one for one in people.persons}, "me": request.by.id},
    }
    sorts = (
        ("service", services), ("store", tuple(stores)), ("rota", tuple(rotas)),
        ("service or rota", (*services, *rotas)),
    )  # fmt: skip
    return names | {sort: some for sort, some in sorts if some}


def with_services_seen(known: KnownNames, seen: Collection[str]) -> KnownNames:
    """For a page: a service exists if the catalog lists it, or if alerts have opened an incident about it.

    With neither, no service is known, and any well-formed name is accepted: a page must not fail for want of a list.
    """
    return {**known, "service": {*known.get("service", ()), *seen}} if seen else known


def form_of(parts: RequestParts, request: Request) -> Form | None:
    """The form of a verb that was typed without arguments; None if the requester may never use the verb."""
    verb, rest = split_verb(request.text)
    command, authorizer = parts.registry.all.get(verb), parts.break_glass.authorizer
    if command is None or rest or not request.by.id or not authorizer.ever_allowed(request.by, verb):
        return None
    action = parts.registry.actions.get(verb)
    limits = action.limits if action else {}
    return forms.form_of(command, known=authorizer.known_names(request), here=request.incident_id, limits=limits)


def fill(parts: RequestParts, request: Request, values: Mapping[str, str]) -> SubmittedForm:
    """The command that a filled-in form stands for, or its errors. Authorization follows when the command is handled.

    For an unknown verb or an unknown requester the command is the verb alone, which the dispatcher then refuses.
    """
    verb, _ = split_verb(request.text)
    command = parts.registry.all.get(verb)
    if command is None or not request.by.id:
        return SubmittedForm(text=verb)
    known = parts.break_glass.authorizer.known_names(request)
    if verb == PAGE:
        known = with_services_seen(known, parts.services_seen())
    return forms.fill(command, values, known=known, here=request.incident_id)
