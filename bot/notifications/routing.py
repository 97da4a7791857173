"""Decides which channels are notified about a change. Pure: one outbox message for each channel that wants an event.

| event                        | card          | line | page         |
|------------------------------|---------------|------|--------------|
| opened                       | posted        | -    | trigger      |
| passed (opened as resolved)  | posted        | -    | -            |
| acked, resolved, reopened    | edited        | yes  | the same     |
| worsened, paged again        | edited        | yes  | trigger      |
| refired                      | edited        | yes  | -            |
| eased, assigned, paged       | edited        | yes  | -            |
| unacked                      | edited        | yes  | -            |
| noted, undelivered           | edited        | yes  | -            |
| alerts fired, ended, changed | edited, last  | -    | -            |

A pager is asked by the worst severity of the incident whether it is its own, so that what was triggered is also
acknowledged and resolved. A trigger is made only where it is its own by its present severity as well: a warning that
reopens what was critical wakes nobody who is paged for critical alone. What is of severity `none` triggers no pager.
What pages again because it is worse is one trigger.

A pager's own event is sent back to it only while an older page is still unsent there, so that the older one cannot
undo it. Ranks order each channel's queue: cards of what became critical first (opened, reopened or raised), then
people's changes, then other new cards by severity, then cards of which only the counts changed. So the last critical
incident is sent before the first warning. Rank 0 alone may use the places of a quota that are reserved.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import replace

from bot.core.alert import Severity
from bot.core.incident import TIMELINE_EVENTS, EventType, IncidentChange
from bot.core.message import MessageKind, OutboxMessage, Subscription

_COUNTS_ONLY = frozenset({EventType.ALERTS_FIRED, EventType.ALERTS_ENDED, EventType.ALERTS_CHANGED})
#: Pages that must not wait behind milder ones; what has to be sent before them is as urgent as they are.
_URGENT = frozenset({EventType.SEVERITY_RAISED, EventType.PAGED_AGAIN})
#: The events that bring a critical incident before people who may not know of it yet.
_NEWS = frozenset({EventType.OPENED, EventType.REOPENED, EventType.SEVERITY_RAISED})
_TRIGGERS = _NEWS | _URGENT
_BY_PEOPLE = 1
_COUNTS = 5

_Events = tuple[tuple[EventType, str], ...]  #: of each event of a change: its type, and the channel it came through


def messages_for(change: IncidentChange, subscriptions: Sequence[Subscription]) -> list[OutboxMessage]:
    """The messages for each channel, in the order of the change's events; a card at most once."""
    incident = change.incident
    events = tuple((event.type, event.via) for event in change.events)
    wanting = [one for one in subscriptions if one.accepts(incident)]
    if incident.pages_nobody:
        wanting = [one for one in wanting if MessageKind.PAGE not in one.kinds]
    owed = [message for one in wanting for message in _messages(one, events, incident.severity)]
    if incident.worst is incident.severity and not incident.course.never_pages:
        return owed
    return _without_triggers(owed, change, wanting)


def _without_triggers(
    owed: Sequence[OutboxMessage], change: IncidentChange, wanting: Sequence[Subscription]
) -> list[OutboxMessage]:
    """Without the triggers of pagers that do not accept it as it is now."""
    incident = change.incident
    present = replace(incident, lead=str(incident.severity.rank), course=replace(incident.course, worst=None))
    refusing = {one.name for one in wanting if incident.course.never_pages or not one.accepts(present)}
    return [
        one
        for one in owed
        if one.kind is not MessageKind.PAGE
        or one.channel not in refusing
        or one.event_index is None
        or change.events[one.event_index].type not in _TRIGGERS
    ]


@lru_cache(maxsize=1024)
def _messages(subscription: Subscription, events: _Events, severity: Severity) -> tuple[OutboxMessage, ...]:
    """Cached, because the incidents of a storm differ in little else."""
    wanted = [(index, what, via) for index, (what, via) in enumerate(events) if _wants(subscription, what, via)]
    paged_again = any(what is EventType.PAGED_AGAIN for _, what, _ in wanted)
    rows: list[OutboxMessage] = []
    if MessageKind.CARD in subscription.kinds and wanted:
        rank = min(card_rank(what, severity) for _, what, _ in wanted)
        rows.append(OutboxMessage(channel=subscription.name, kind=MessageKind.CARD, rank=rank))
    for index, what, via in wanted:
        if MessageKind.LINE in subscription.kinds and what in TIMELINE_EVENTS:
            rows.append(
                OutboxMessage(channel=subscription.name, kind=MessageKind.LINE, rank=_BY_PEOPLE, event_index=index)
            )
        if MessageKind.PAGE in subscription.kinds and not (what is EventType.SEVERITY_RAISED and paged_again):
            urgent, echo = what in _URGENT, via == subscription.name
            page = OutboxMessage(
                channel=subscription.name, kind=MessageKind.PAGE, rank=severity.rank, event_index=index
            )
            rows.append(replace(page, expedites_earlier=urgent, only_behind_unsent=echo) if urgent or echo else page)
    return tuple(rows)


def card_rank(event_type: EventType, severity: Severity) -> int:
    """The rank of a card in its channel's queue; the lowest is sent first."""
    if event_type in _NEWS and severity is Severity.CRITICAL:
        return 0
    if event_type in _COUNTS_ONLY:
        return _COUNTS
    if event_type is EventType.OPENED_RESOLVED:
        return 1 + Severity.INFO.rank
    return 1 + severity.rank if event_type is EventType.OPENED else _BY_PEOPLE


def _wants(subscription: Subscription, event_type: EventType, via: str) -> bool:
    """Whether the channel wants the event. A channel is not notified about its own failure."""
    return event_type in subscription.event_types and not (
        event_type is EventType.MESSAGE_UNDELIVERED and via == subscription.name
    )
