"""The nouns of the house: frozen values that every other file speaks in.

Those that come by the thousand in a storm are Structs, made in a fraction of the time that a frozen dataclass takes
(docs/decisions/0029); all else is the standard library's. Times are aware UTC datetimes, durations are timedeltas, and
nothing here reads a clock, a database or a network. A row of the database is never one of these: `store/` translates.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from bot.marking import mark_of


class Severity(StrEnum):
    """How bad it is. `rank` orders them, worst first, for queues and for "the worst of"."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for critical, 3 for info."""
        return _RANK[self]


_RANK = {Severity.CRITICAL: 0, Severity.ERROR: 1, Severity.WARNING: 2, Severity.INFO: 3}
_WORST = {str(rank): severity for severity, rank in _RANK.items()}


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


class MessageKind(StrEnum):
    """What a delivery puts into the world."""

    CARD = "card"  #: the one live message of an incident, edited in place; only its latest state is ever sent
    LINE = "line"  #: one line of the story, in the card's thread; each is sent once, in order
    PAGE = "page"  #: an edge towards a pager (trigger, acknowledge, resolve); never collapsed, in order


class Alert(Struct, frozen=True, kw_only=True, gc=False):
    """One alert as its source told it, already made safe to store (see `sources/`)."""

    source: str  #: the source's name in the settings, "alertmanager"
    group: str  #: the key of the group it came in; incidents are one a group
    fingerprint: str  #: what stays the same over firings; text of at most 64 characters
    firing: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]  #: annotations
    starts_at: datetime  #: which firing of this fingerprint: a later one is another episode
    ends_at: datetime | None = None  #: None while it fires, or where the source did not say
    link: str = ""  #: where the source shows it; shown, never fetched
    sent_once: bool = False  #: its source tells a change once, with the change's time: an old one is never news again

    @property
    def title(self) -> str:
        return self.labels.get("alertname") or "(no alertname)"


class AlertBatch(Struct, frozen=True, kw_only=True, gc=False):
    """One delivery from an alert source: all of it is taken in one commit, or none of it."""

    source: str
    group: str  #: the group's key, "" where the alerts carry different ones
    alerts: tuple[Alert, ...]
    body: bytes = b""  #: as received, for what has to be kept
    truncated: int = 0  #: alerts that the sender left out; their silence is not an end
    rejected: tuple[tuple[str, str], ...] = ()  #: (path, why) of single alerts that could not be read
    repairs: tuple[str, ...] = ()  #: what was mended on the way in, for the answer and the log
    keep_reason: tuple[str, str] | None = (
        None  #: (code, why) the body is kept as it came, where the alerts say so already
    )


class EpisodeState(Struct, frozen=True, kw_only=True, gc=False):
    """What is stored of the newest episode of one (source, fingerprint)."""

    row_id: int
    incident_id: int | None  #: None when it was only ever heard of as ended
    starts_at: datetime
    firing: bool
    ended_at: datetime | None = None  #: when the end was recorded here, None while it fires
    source_ended_at: datetime | None = (
        None  #: the end as its source told it; None while it fires, or where nothing was told
    )
    doubted_at: datetime | None = None  #: when a firing of it was first heard after its end, and not believed

    @property
    def covers_until(self) -> datetime:
        """A firing that began no later is a part of this episode."""
        return max(self.source_ended_at or self.starts_at, self.starts_at)


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


class OutboxMessage(Struct, frozen=True, kw_only=True, gc=False):
    """One delivery that a change makes owed. `event_index` is its place in the change's events, None for a card."""

    channel: str
    kind: MessageKind
    rank: int  #: the least is sent first
    event_index: int | None = None
    expedites_earlier: bool = (
        False  #: what is unsent before it in its order is as urgent as this, because it stands in the way
    )
    only_behind_unsent: bool = (
        False  #: the channel told us itself: owed only where something before it is unsent, to come after it
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """One person (or machine), however many chat accounts."""

    id: str
    name: str = ""
    roles: frozenset[str] = frozenset()
    human: bool = True

    @property
    def display_name(self) -> str:
        return self.name or self.id


#: Places at the bot's own machine: the line on the board, and the command line.
CONSOLE, CLI = "console", "cli"
#: Where one account stands for whoever sits there; only the settings can say who that is.
MACHINE = frozenset({CONSOLE, CLI})

#: Whoever speaks from an account that is nobody's yet.
UNKNOWN_PRINCIPAL = Principal(id="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What somebody said to the bot, in words that anybody could have typed."""

    by: Principal
    text: str
    channel: str  #: the channel's name, or `CLI`
    incident_id: int | None = None  #: the incident in whose thread it was said
    idempotency_key: str = ""  #: the platform's own id of this act; the same id a second time has no second effect
    sent_at: datetime | None = None  #: when, where the place tells us late (a pager may repeat for hours); None is now
    account: str = ""  #: the asker's account at that place
    private: bool = False  #: nobody but the asker can read these words and their answer
    from_button: bool = False  #: a button said it, not a person: its number may be of an incident from before a restore
    thread: str = ""  #: where at that place everybody can be told later what came of it, as `Speaks.post` takes it


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The answer to an ask, or the refusal; plain text, to the asker alone unless it is `shared`."""

    text: str
    ok: bool = True
    repeated: bool = False  #: this ask had been answered before; it had no second effect
    card: Card | None = (
        None  #: the same with buttons, for everybody at the place unless it is `requester_only`: a plan, mostly
    )
    shared: bool = False  #: what became of a plan: everybody at the place is told
    plan_closed: bool = False  #: the plan that was answered takes no answer any more: its buttons go
    secret: bool = False  #: it is shown once and never stored
    requester_only: bool = (
        False  #: the asker's own, with its card: a place that cannot show it to them alone does not show it
    )

    @property
    def visible_to_all(self) -> bool:
        """Whether everybody at the place may see it; never a secret, nor what is the asker's own."""
        return not (self.secret or self.requester_only) and (self.shared or self.card is not None)

    @property
    def storable_text(self) -> str:
        """What may be written down of it, and is told when the same act comes again."""
        return "You were answered before, and it is not shown twice. Say it again." if self.secret else self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """A message without a platform. All of it is untrusted text: the channel escapes it."""

    title: str
    lines: tuple[str, ...] = ()
    buttons: Mapping[str, str] = field(default_factory=dict)  #: label -> words that somebody could have typed
    severity: Severity = Severity.INFO
    status: Status = Status.OPEN
    link: str = ""  #: the incident on the board


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """One thing a channel is asked to put into the world now."""

    key: str  #: stable over tries: the provider's idempotency key where it has one
    kind: MessageKind
    incident: Incident
    event: Event | None  #: the event to tell; None for a card, which tells the latest state
    card: Card
    ref: str | None  #: where this incident's card stands in this channel, None when it was not posted yet
    due_at: datetime  #: no try was made before
    attempted: bool = (
        False  #: an earlier try was made, perhaps by a process that died, and it may have arrived after all
    )
