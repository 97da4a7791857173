"""Who hears of an incident when it opens: pagers, chats, and the people on call by the settings. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.access.policy import Policy
from bot.core.command import PageReach, PagerState
from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind, Subscription
from bot.core.request import Principal
from bot.notifications.card import CardSettings

_PROBLEM = 200  #: characters of it that are shown


def page_reach(
    incident: Incident, subscriptions: Sequence[Subscription], policy: Policy, cards: CardSettings, asker: Principal
) -> PageReach:
    """A pager decides by its own schedule whom it wakes, so of a pager no names are known."""
    opening = [one for one in subscriptions if EventType.OPENED in one.event_types]
    duty = policy.on_call(incident.service)
    names = {one.id: one.display_name for one in policy.people_of(duty)}
    chats = [one for one in opening if MessageKind.CARD in one.kinds and one.accepts(incident)]
    mentioned = (one.name for chat in chats for one in cards.on_call(incident.service, chat.name) if one.account)
    return PageReach(
        pagers=tuple(
            PagerState(
                called=one.display_name,
                takes_it=one.accepts(incident),
                problem=" ".join((one.health_problem() or "").split())[:_PROBLEM],
            )
            for one in opening
            if MessageKind.PAGE in one.kinds
        ),
        on_call=tuple("you" if one == asker.id else names.get(one, one) for one in sorted(duty)),
        chats=tuple(one.display_name for one in chats),
        mentioned=tuple(dict.fromkeys(mentioned)),
    )
