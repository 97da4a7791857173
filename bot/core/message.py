"""Messages to channels: their kinds, a card that is independent of any platform, and one message of the outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from bot.core.alert import AlertView, Severity
from bot.core.incident import Event, EventType, Incident, Status

#: Alerts that come with a message.
MOST_ALERTS = 50


class MessageKind(StrEnum):
    """The three kinds of message."""

    CARD = "card"  #: the one live message of an incident, edited in place; only its latest state is ever sent
    LINE = "line"  #: one line of the timeline, in the card's thread; each is sent once, in order
    PAGE = "page"  #: an edge towards a pager (trigger, acknowledge, resolve); never collapsed, in order


class OutboxMessage(Struct, frozen=True, kw_only=True, gc=False):
    """One message that a change puts into the outbox."""

    channel: str
    kind: MessageKind
    rank: int  #: the lowest is sent first
    event_index: int | None = None  #: the event's position in the change; None for a card
    #: Unsent messages before it in the same order become as urgent as it is, because it has to wait for them.
    expedites_earlier: bool = False
    #: The event came from this channel: it is sent only to keep the order when something older is still unsent.
    only_behind_unsent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Contact:
    """A person who is on call, and their account in the channel that the message goes to."""

    id: str
    name: str
    account: str = ""  #: "" where they have none there, so that they cannot be mentioned


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertSummary:
    """One alert, by what tells it from the others of its incident."""

    text: str
    firing: bool
    since: datetime
    value: str = ""  #: as the sender wrote it


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What the card of an incident says beside its title, in parts: each channel arranges them in its own form.

    `Card.lines` say the same as text, with times in UTC, for a channel that has no form of its own.
    """

    headword: str  #: how bad, and in which state: "CRITICAL", "ACKNOWLEDGED (critical)", "RESOLVED (critical)"
    holder: str  #: who has it, or that nobody has: "nobody has it yet; on call: Ana"
    summary: str = ""  #: one sentence on what happens, with which the title ends; "" where it has none
    since: datetime  #: when the first of its alerts began to fire
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    count: str = ""  #: "3 firing, 2 ended"; "" for an incident of one alert, or of none
    description: str = ""  #: of the alert that names it, untrusted, several lines
    facts: Mapping[str, str] = field(default_factory=dict)  #: three to six labels that all of its alerts have
    alerts: tuple[AlertSummary, ...] = ()  #: the first few, firing ones first; empty where there is only one
    more: int = 0  #: how many alerts are not among them
    links: Mapping[str, str] = field(default_factory=dict)  #: label -> address that a reader can open
    owner: str = ""  #: who owns its service, by the settings; among `facts` as well
    on_call: tuple[Contact, ...] = ()  #: of its service; to be mentioned in the first message alone
    notes: tuple[str, ...] = ()  #: what else has to be said: runs, what the source left out


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """A message without a platform. All of it is untrusted text: the channel escapes it."""

    title: str
    lines: tuple[str, ...] = ()
    buttons: Mapping[str, str] = field(default_factory=dict)  #: label -> a command that a person could have typed
    primary: str = ""  #: the label of the button that stands out
    confirm: Mapping[str, str] = field(default_factory=dict)  #: label of a button -> what is asked before it counts
    spare: frozenset[str] = frozenset()  #: labels of buttons that may be left out where they do not fit
    severity: Severity = Severity.INFO
    status: Status = Status.OPEN
    link: str = ""  #: the incident on the board; "" where a reader of the channel cannot open it
    situation: Situation | None = None  #: of the card of an incident


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """One message that a channel is asked to send now."""

    key: str  #: the same in every try: the provider's idempotency key, if it has one
    kind: MessageKind
    incident: Incident
    event: Event | None  #: the event to report; None for a card, which shows the latest state
    card: Card
    ref: str | None  #: the reference of the incident's card in this channel; None when it was not posted yet
    due_at: datetime  #: no try was made before this time
    attempted: bool = False  #: an earlier try was made, perhaps by a process that died; it may have arrived
    #: Of a card or a page: the alerts of the incident, the one that names it first; at most `MOST_ALERTS`.
    alerts: tuple[AlertView, ...] = ()
    place_order: tuple[str, ...] = ()  #: of the settings: the labels that say where; (): the usual ones
    #: Of a page: the numbers of older pages of the incident that may be open in that channel.
    older_pages: tuple[int, ...] = ()
    summary: str = ""  #: of a page: what happens and where, in one line; "" is the incident's title


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Subscription:
    """The messages and events that a channel wants.

    Compared by identity, so that caching `messages_for` by subscription is cheap.
    """

    name: str
    kinds: frozenset[MessageKind]
    event_types: frozenset[EventType]
    accepts: Callable[[Incident], bool] = lambda _: True  #: False: the channel does not handle this incident
    called: str = ""  #: the platform's name, as people write it; by default the channel's
    #: What is wrong with its connection, None while no problem is known; from memory.
    health_problem: Callable[[], str | None] = lambda: None

    @property
    def display_name(self) -> str:
        return self.called or self.name


@dataclass(frozen=True, kw_only=True, slots=True)
class SentAgain:
    """How many messages of an incident are owed to a channel again."""

    channel: str
    called: str = ""  #: the platform's name, as people write it
    cards: int = 0
    lines: int = 0
    pages: int = 0
    withheld_pages: int = 0  #: pages that were given up and are no longer wanted

    def __bool__(self) -> bool:
        return bool(self.cards or self.lines or self.pages)
