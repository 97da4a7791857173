"""Changes written down: incident, events and what every channel is owed for them, in the caller's one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.model import Change, Event, Kind, What
from bot.owing import Mouth, owed
from bot.states import State
from bot.store.debts import Debt, owe
from bot.store.tx import Tx


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What a commit holds, for those who act on it afterwards. False when there is nothing to act on."""

    channels: frozenset[str] = frozenset()  #: they are owed something now
    events: tuple[What, ...] = ()
    ran: tuple[State, ...] = ()  #: how runs have ended

    def __bool__(self) -> bool:
        return bool(self.channels or self.events or self.ran)

    def __or__(self, other: Written) -> Written:
        return Written(
            channels=self.channels | other.channels, events=self.events + other.events, ran=self.ran + other.ran
        )


#: Called after a commit, never inside it: wakes the channels, rings the board, counts.
Told = Callable[[Written], None]


def write(tx: Tx, changes: Sequence[Change], mouths: Sequence[Mouth]) -> Written:
    """Store the changes that have events, with what is owed for them.

    The incidents come first, because events, deliveries and alerts point at them.
    """
    told = [change for change in changes if change.events]
    if not told:
        return Written()
    tx.put_incidents([change.incident for change in told])
    events: list[Event] = []
    rows: list[Debt] = []
    first_event = tx.reserve("event", sum(len(change.events) for change in told))
    for change in told:
        base = first_event + len(events)
        events.extend(change.events)
        rows.extend(
            (change.incident.id, None if one.kind is Kind.CARD or one.event is None else base + one.event, one)
            for one in owed(change, mouths)
        )
    tx.put_events(first_event, events)
    owe(tx, rows, {change.incident.id: change.incident.page_key for change in told})
    return Written(channels=frozenset(one.channel for _, _, one in rows), events=tuple(event.what for event in events))
