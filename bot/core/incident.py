"""The nouns of the house: frozen values that every other file speaks in.

Those that come by the thousand in a storm are Structs, made in a fraction of the time that a frozen dataclass takes
(docs/decisions/0029); all else is the standard library's. Times are aware UTC datetimes, durations are timedeltas, and
nothing here reads a clock, a database or a network. A row of the database is never one of these: `store/` translates.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from bot.core.alert import _WORST, Severity
from bot.core.incident_marker import mark_of
from bot.core.run_state import State


class Status(StrEnum):
    """Where an incident stands. Reopened is an event, not a status: what is reopened is open."""

    OPEN = "open"
    ACKED = "acknowledged"
    RESOLVED = "resolved"


class EventType(StrEnum):
    """What happened to an incident: `subject.past-tense`. A name once published is never changed."""

    OPENED = "incident.opened"
    OPENED_RESOLVED = "incident.passed"  #: opened and over at once: it had ended before it was heard of
    ACKED = "incident.acked"
    RESOLVED = "incident.resolved"
    REOPENED = "incident.reopened"
    SEVERITY_RAISED = "incident.worsened"
    SEVERITY_LOWERED = "incident.eased"  #: a person said that it is less bad
    ASSIGNED = "incident.assigned"  #: given to somebody, who has not acknowledged it
    PAGED = "incident.paged"  #: a person paged about it, as an incident of its own
    NOTED = "incident.noted"
    ACTION_PROPOSED = "action.asked"
    ACTION_DONE = "action.done"
    ACTION_NOT_DONE = "action.not_done"  #: it failed and changed nothing
    ACTION_DEGRADED = "action.not_well"  #: it was done, and what it was done to does not hold
    ACTION_UNKNOWN = "action.unknown"  #: nobody knows whether it was done
    ALERTS_FIRED = "alerts.fired"
    ALERTS_ENDED = "alerts.ended"
    MESSAGE_UNDELIVERED = "message.undelivered"


_HASHED = re.compile(r"[0-9a-f]{64}")

#: The events that are worth a line of their own in a chat thread; the others only move the card.
TIMELINE_EVENTS = frozenset(EventType) - {
    EventType.OPENED,
    EventType.OPENED_RESOLVED,
    EventType.ALERTS_FIRED,
    EventType.ALERTS_ENDED,
}


class Incident(Struct, frozen=True, kw_only=True, gc=False):
    """One trouble that people work on: every alert of one group, from its first firing to its last end."""

    id: int
    key: str  #: the group's key; at most one incident of a key is not resolved
    source: str
    title: str
    severity: Severity  #: of its alerts the worst there has been, unless a person said otherwise
    status: Status
    opened_at: datetime
    changed_at: datetime
    firing: int = 0  #: how many of its alerts fire now
    total: int = 0  #: how many episodes it has held
    service: str | None = None
    owner: str | None = None  #: id of the person who has it, or while it is open was given it; None when nobody
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    truncated: int = 0  #: alerts that the source said it left out
    version: int = 0  #: +1 with every change
    lead: str = "~"
    #: The order of the alert that named it (`wishes.LeadAlert`). It begins with the rank of the worst the incident
    #: has been.

    @property
    def worst(self) -> Severity:
        """The worst it has been since it was opened. It does not sink, whatever people say of it later."""
        return _WORST.get(self.lead[:1], self.severity) if self.lead[:1] < str(self.severity.rank) else self.severity

    @property
    def page_key(self) -> str:
        """The dedup_key of its pages."""
        return page_key_of(self.key)

    @property
    def mark(self) -> str:
        """What stands beside its number where that leaves the house and comes back (`marking`)."""
        return mark_of(self.id, self.opened_at, self.source, self.key)

    @property
    def marked(self) -> str:
        """Its number with its mark, as `kinds.IncidentNumber` reads it."""
        return f"{self.id}-{self.mark}"


@lru_cache(maxsize=4096)
def page_key_of(key: str) -> str:
    """The pager's dedup_key for a group: what Alertmanager's own PagerDuty notifier computes for it.

    Source: Alertmanager `notify.Key.Hash`, the SHA-256 of the groupKey in lower-case hex. A key that its source
    had to shorten to such a hash is its own dedup_key.
    """
    if _HASHED.fullmatch(key):
        return key
    return hashlib.sha256(key.encode()).hexdigest()


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """One fact of an incident's story, written in the same commit as the change it tells."""

    incident_id: int
    at: datetime
    type: EventType
    by: str  #: id of a person, name of a source or of a channel
    text: str  #: one sentence for people, plain text, untrusted
    via: str = ""  #: the place it came through; that place's pager is not told what it told us


class IncidentChange(Struct, frozen=True, kw_only=True, gc=False):
    """What a wish did to an incident. No events: nothing happened, nothing is stored, nothing is sent."""

    incident: Incident
    events: tuple[Event, ...] = ()


#: Places at the bot's own machine: the line on the board, and the command line.
CONSOLE, CLI = "console", "cli"
#: Where one account stands for whoever sits there; only the settings can say who that is.
MACHINE = frozenset({CONSOLE, CLI})


@dataclass(frozen=True, kw_only=True, slots=True)
class Committed:
    """What a commit holds, for those who act on it afterwards. False when there is nothing to act on."""

    channels: frozenset[str] = frozenset()  #: they are owed something now
    event_types: tuple[EventType, ...] = ()
    run_states: tuple[State, ...] = ()  #: how runs have ended

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
