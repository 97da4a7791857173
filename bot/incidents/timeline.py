"""Changes written down: incident, events and what every channel is owed for them, in the caller's one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.incident import Committed, Event, IncidentChange
from bot.core.message import MessageKind, Subscription
from bot.notifications.routing import messages_for
from bot.store.outbox import OutboxRow, enqueue
from bot.store.transaction import Tx


def write(tx: Tx, changes: Sequence[IncidentChange], subscriptions: Sequence[Subscription]) -> Committed:
    """Store the changes that have events, with what is owed for them.

    The incidents come first, because events, deliveries and alerts point at them.
    """
    told = [change for change in changes if change.events]
    if not told:
        return Committed()
    tx.put_incidents([change.incident for change in told])
    events: list[Event] = []
    rows: list[OutboxRow] = []
    first_event = tx.reserve("event", sum(len(change.events) for change in told))
    for change in told:
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
    enqueue(tx, rows, {change.incident.id: change.incident.page_key for change in told})
    return Committed(
        channels=frozenset(one.channel for _, _, one in rows), event_types=tuple(event.type for event in events)
    )
