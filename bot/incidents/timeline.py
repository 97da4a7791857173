"""Writes changes: incidents, their events, and the outbox messages, in the caller's one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from bot.core.incident import Committed, Event, EventType, Incident, IncidentChange
from bot.core.message import MessageKind, OutboxMessage, Subscription
from bot.notifications.routing import messages_for
from bot.store.outbox import OutboxRow, enqueue
from bot.store.transaction import Tx


def write(
    tx: Tx,
    changes: Sequence[IncidentChange],
    subscriptions: Sequence[Subscription],
    keep: Callable[[Incident], None] = lambda _: None,
) -> Committed:
    """Store the changes that have events, with the messages for each channel.

    Incidents are written first, because events, messages and alerts refer to them. `keep` is called with each incident
    that is stored otherwise than its change says, for a caller that goes on with it.
    """
    routed = [(change, messages_for(change, subscriptions)) for change in changes if change.events]
    if not routed:
        return Committed()
    written = [(_as_paged(change, messages), messages) for change, messages in routed]
    for (change, _), (stored, _) in zip(routed, written, strict=True):
        if stored.incident is not change.incident:
            keep(stored.incident)
    tx.put_incidents([change.incident for change, _ in written])
    events: list[Event] = []
    rows: list[OutboxRow] = []
    first_event = tx.reserve("event", sum(len(change.events) for change, _ in written))
    for change, messages in written:
        base = first_event + len(events)
        events.extend(change.events)
        rows.extend(
            (
                change.incident.id,
                None if one.kind is MessageKind.CARD or one.event_index is None else base + one.event_index,
                one,
            )
            for one in messages
        )
    tx.put_events(first_event, events)
    enqueue(tx, rows, {change.incident.id: change.incident.page_key for change, _ in written})
    return Committed(
        channels=frozenset(one.channel for _, _, one in rows), event_types=tuple(event.type for event in events)
    )


def _as_paged(change: IncidentChange, messages: Sequence[OutboxMessage]) -> IncidentChange:
    """Without further pages that no pager is sent: what is acknowledged or resolved next is the page before."""
    further = [place for place, event in enumerate(change.events) if event.type is EventType.PAGED_AGAIN]
    sent = {one.event_index for one in messages if one.kind is MessageKind.PAGE}
    unsent = [place for place in further if place not in sent]
    if not unsent:
        return change
    incident = change.incident
    course = replace(incident.course, pages=max(1, incident.pages - len(unsent)))
    return replace(change, incident=replace(incident, course=course))
