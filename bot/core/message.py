"""Messages to channels: their kinds, a card without a platform, and one message of the outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from bot.core.alert import Severity
from bot.core.incident import Event, EventType, Incident, Status


class MessageKind(StrEnum):
    """What a delivery puts into the world."""

    CARD = "card"  #: the one live message of an incident, edited in place; only its latest state is ever sent
    LINE = "line"  #: one line of the story, in the card's thread; each is sent once, in order
    PAGE = "page"  #: an edge towards a pager (trigger, acknowledge, resolve); never collapsed, in order


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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Subscription:
    """What `messages_for` has to know of a channel; one is equal to itself only, so that asking `_owed` of it costs
    little.
    """

    name: str
    kinds: frozenset[MessageKind]
    event_types: frozenset[EventType]
    accepts: Callable[[Incident], bool] = lambda _: True  #: False: this incident is none of that channel's business
