"""What may be wished of an incident: by its alerts, by people, by the house itself. Frozen values; `incidents` grants.

`by` is a person's id, `name` what they are called in the story, `via` the place it was said in.
"""

from __future__ import annotations

from msgspec import Struct

from bot.core.alert import Severity
from bot.core.incident import EventType


class LeadAlert(Struct, frozen=True, kw_only=True, gc=False):
    """The alert that names an incident: `order` sorts leads, the least is the one that counts."""

    order: str
    title: str
    severity: Severity
    service: str | None = None


class AlertsChanged(Struct, frozen=True, kw_only=True, gc=False):
    """What one delivery said about one incident's alerts, counted."""

    source: str
    fired: int = 0  #: episodes that fire now and did not before
    refired: int = 0  #: of those, episodes that this incident already held, ended: they count no second time in `total`
    ended: int = 0  #: episodes that fired and do not now
    already_ended: int = 0  #: episodes first heard of after their own end
    repeated: int = 0  #: repeats of firings that a person had resolved long enough ago to mean "it is not over"
    lead: LeadAlert | None = None  #: the least of the delivery's alerts in this incident; None when none is new
    titles: tuple[str, ...] = ()  #: a few titles, for the story
    truncated: int | None = None  #: alerts the sender left out; None when it did not say


class Acknowledge(Struct, frozen=True, kw_only=True, gc=False):
    """`by` takes the incident."""

    by: str
    name: str
    via: str
    human: bool = True  #: False for a platform's automation, whose word never takes an incident from a person


class Resolve(Struct, frozen=True, kw_only=True, gc=False):
    """`by` declares it over, whatever its alerts say."""

    by: str
    name: str
    via: str


class AddNote(Struct, frozen=True, kw_only=True, gc=False):
    """`by` adds a sentence to the story."""

    by: str
    name: str
    via: str
    text: str


class DeliveryFailed(Struct, frozen=True, kw_only=True, gc=False):
    """A message of this incident cannot reach `channel`, or is late; people hear of it elsewhere."""

    channel: str
    text: str


class Reopen(Struct, frozen=True, kw_only=True, gc=False):
    """`by` says it is not over."""

    by: str
    name: str
    via: str
    because: str = ""


class Assign(Struct, frozen=True, kw_only=True, gc=False):
    """`by` gives it to `to`, who has not said yes; giving it to oneself is taking it."""

    by: str
    name: str
    via: str
    to: str


class SetSeverity(Struct, frozen=True, kw_only=True, gc=False):
    """`by` says how bad it is."""

    by: str
    name: str
    via: str
    severity: Severity


class PageSomeone(Struct, frozen=True, kw_only=True, gc=False):
    """`by` pages about it, as incident `page`, which is one of its own."""

    by: str
    name: str
    via: str
    text: str
    page: int


class OpenIncident(Struct, frozen=True, kw_only=True, gc=False):
    """`by` opens an incident that no alert knows of."""

    by: str
    name: str
    via: str
    title: str
    service: str | None = None


class ActionReported(Struct, frozen=True, kw_only=True, gc=False):
    """Something was asked for, done or not done about it, in the world outside; the incident itself stays as it is."""

    type: EventType
    by: str
    text: str
    via: str


PersonTransition = Acknowledge | Resolve | Reopen | Assign | SetSeverity | AddNote | PageSomeone
Transition = AlertsChanged | DeliveryFailed | ActionReported | PersonTransition
