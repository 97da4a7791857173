"""Changes written down: incident, events and what every channel is owed for them, in the caller's one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.model import Event, EventType, IncidentChange, MessageKind
from bot.owing import Subscription, messages_for
from bot.states import RunState
from bot.store.debts import OutboxRow, enqueue
from bot.store.tx import Tx


@dataclass(frozen=True, kw_only=True, slots=True)
class Committed:
    """What a commit holds, for those who act on it afterwards. False when there is nothing to act on."""

    channels: frozenset[str] = frozenset()  #: they are owed something now
    event_types: tuple[EventType, ...] = ()
    run_states: tuple[RunState, ...] = ()  #: how runs have ended

    def __bool__(self) -> bool:
        return bool(self.channels or self.event_types or self.run_states)

    def __or__(self, other: Committed) -> Committed:
        return Committed(
            channels=self.channels | other.channels,
            event_types=self.event_types + other.event_types,
            run_states=self.run_states + other.run_states,
        )


#: Called after a commit, never inside it: wakes the channels, rings the board, counts.
OnCommit = Callable[[Committed], None]


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
