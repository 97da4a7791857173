"""Messages to channels: their kinds, a card that is independent of any platform, and one message of the outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from bot.core.alert import Severity
from bot.core.incident import Event, EventType, Incident, Status


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
class Card:
    """A message without a platform. All of it is untrusted text: the channel escapes it."""

    title: str
    lines: tuple[str, ...] = ()
    buttons: Mapping[str, str] = field(default_factory=dict)  #: label -> a command that a person could have typed
    severity: Severity = Severity.INFO
    status: Status = Status.OPEN
    link: str = ""  #: the incident on the board


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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Subscription:
    """The messages and events that a channel wants.

    Compared by identity, so that caching `messages_for` by subscription is cheap.
    """

    name: str
    kinds: frozenset[MessageKind]
    event_types: frozenset[EventType]
    accepts: Callable[[Incident], bool] = lambda _: True  #: False: the channel does not handle this incident


@dataclass(frozen=True, kw_only=True, slots=True)
class SentAgain:
    """How many messages of an incident are owed to a channel again."""

    channel: str
    cards: int = 0
    lines: int = 0
    pages: int = 0
    withheld_pages: int = 0  #: pages that were given up and are no longer wanted

    def __bool__(self) -> bool:
        return bool(self.cards or self.lines or self.pages)
