"""Writes changes: incidents, their events, and the outbox messages, in the caller's one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.incident import Committed, Event, IncidentChange
from bot.core.message import MessageKind, Subscription
from bot.notifications.routing import messages_for
from bot.store.outbox import OutboxRow, enqueue
from bot.store.transaction import Tx


def write(tx: Tx, changes: Sequence[IncidentChange], subscriptions: Sequence[Subscription]) -> Committed:
    """Store the changes that have events, with the messages for each channel.

    Incidents are written first, because events, messages and alerts refer to them.
    """
    written = [change for change in changes if change.events]
    if not written:
        return Committed()
    tx.put_incidents([change.incident for change in written])
    events: list[Event] = []
    rows: list[OutboxRow] = []
    first_event = tx.reserve("event", sum(len(change.events) for change in written))
    for change in written:
        base = first_event + len(events)
        events.extend(change.events)
        rows.extend(
            (
                change.incident.id,
                None if one.kind is MessageKind.CARD or one.event_index is None else base + one.event_index,
                one,
            )
            for one in messages_for(change, subscriptions)
        )
    tx.put_events(first_event, events)
    enqueue(tx, rows, {change.incident.id: change.incident.page_key for change in written})
    return Committed(
        channels=frozenset(one.channel for _, _, one in rows), event_types=tuple(event.type for event in events)
    )
