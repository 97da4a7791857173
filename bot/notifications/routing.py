"""Who is owed what by a change: pure, one row per channel that wants the event.

| event                        | card          | line | page         |
|------------------------------|---------------|------|--------------|
| opened                       | posted        | -    | trigger      |
| passed (over when heard of)  | posted        | -    | -            |
| acked, resolved, reopened    | edited        | yes  | the same     |
| worsened                     | edited        | yes  | trigger      |
| eased, assigned, paged       | edited        | yes  | -            |
| noted, undelivered           | edited        | yes  | -            |
| alerts fired, alerts ended   | edited, last  | -    | -            |

A pager is told what it told us itself only where something older is still unsent to it, so that the older cannot
undo it. Ranks order each channel's queue: new critical cards first, then what people did, then the other new cards by
their severity, then cards whose counts moved; so the last critical incident is told before the first warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import replace

from bot.core.alert import Severity
from bot.core.incident import TIMELINE_EVENTS, EventType, IncidentChange
from bot.core.message import MessageKind, OutboxMessage, Subscription

_COUNTS_ONLY = frozenset({EventType.ALERTS_FIRED, EventType.ALERTS_ENDED})
_BY_PEOPLE = 1
_COUNTS = 5


_Told = tuple[tuple[EventType, str], ...]  #: what happened and through which place, of each event of a change


def messages_for(change: IncidentChange, subscriptions: Sequence[Subscription]) -> list[OutboxMessage]:
    """What each channel is owed for the change's events, in their order; a card at most once."""
    told = tuple((event.type, event.via) for event in change.events)
    severity = change.incident.severity
    return [one for mouth in subscriptions if mouth.accepts(change.incident) for one in _owed(mouth, told, severity)]


@lru_cache(maxsize=1024)
def _owed(subscription: Subscription, told: _Told, severity: Severity) -> tuple[OutboxMessage, ...]:
    """Remembered, because a storm asks the same few questions for each of its incidents."""
    wanted = [(place, what, via) for place, (what, via) in enumerate(told) if _concerns(subscription, what, via)]
    rows: list[OutboxMessage] = []
    if MessageKind.CARD in subscription.kinds and wanted:
        rank = min(card_rank(what, severity) for _, what, _ in wanted)
        rows.append(OutboxMessage(channel=subscription.name, kind=MessageKind.CARD, rank=rank))
    for place, what, via in wanted:
        if MessageKind.LINE in subscription.kinds and what in TIMELINE_EVENTS:
            rows.append(
                OutboxMessage(channel=subscription.name, kind=MessageKind.LINE, rank=_BY_PEOPLE, event_index=place)
            )
        if MessageKind.PAGE in subscription.kinds:
            hurries, echoes = what is EventType.SEVERITY_RAISED, via == subscription.name
            page = OutboxMessage(
                channel=subscription.name, kind=MessageKind.PAGE, rank=severity.rank, event_index=place
            )
            rows.append(
                replace(page, expedites_earlier=hurries, only_behind_unsent=echoes) if hurries or echoes else page
            )
    return tuple(rows)


def card_rank(event_type: EventType, severity: Severity) -> int:
    """Where a card's state stands in its channel's queue."""
    if event_type in _COUNTS_ONLY:
        return _COUNTS
    if event_type is EventType.OPENED_RESOLVED:
        return 1 + Severity.INFO.rank
    if event_type is not EventType.OPENED:
        return _BY_PEOPLE
    return 0 if severity is Severity.CRITICAL else 1 + severity.rank


def _concerns(subscription: Subscription, event_type: EventType, via: str) -> bool:
    """Whether it wants the event; that a channel fails is not told to that channel."""
    return event_type in subscription.event_types and not (
        event_type is EventType.MESSAGE_UNDELIVERED and via == subscription.name
    )
