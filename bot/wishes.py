"""What may be wished of an incident: by its alerts, by people, by the house itself. Frozen values; `incidents` grants.

`by` is a person's id, `name` what they are called in the story, `via` the place it was said in.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.model import Severity, What


@dataclass(frozen=True, kw_only=True, slots=True)
class Lead:
    """The alert that names an incident: `order` sorts leads, the least is the one that counts."""

    order: str
    title: str
    severity: Severity
    service: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What one delivery said about one incident's alerts, counted."""

    source: str
    fired: int = 0  #: episodes that fire now and did not before
    back: int = 0  #: of those, episodes that this incident already held, ended: they count no second time in `total`
    ended: int = 0  #: episodes that fired and do not now
    past: int = 0  #: episodes first heard of after their own end
    still: int = 0  #: repeats of firings that a person had resolved long enough ago to mean "it is not over"
    lead: Lead | None = None  #: the least of the delivery's alerts in this incident; None when none is new
    names: tuple[str, ...] = ()  #: a few titles, for the story
    truncated: int | None = None  #: alerts the sender left out; None when it did not say


@dataclass(frozen=True, kw_only=True, slots=True)
class Acked:
    """`by` takes the incident."""

    by: str
    name: str
    via: str
    human: bool = True  #: False for a platform's automation, whose word never takes an incident from a person


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """`by` declares it over, whatever its alerts say."""

    by: str
    name: str
    via: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """`by` adds a sentence to the story."""

    by: str
    name: str
    via: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Untold:
    """A message of this incident cannot reach `channel`, or is late; people hear of it elsewhere."""

    channel: str
    said: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reopened:
    """`by` says it is not over."""

    by: str
    name: str
    via: str
    because: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assigned:
    """`by` gives it to `to`, who has not said yes; giving it to oneself is taking it."""

    by: str
    name: str
    via: str
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Weighed:
    """`by` says how bad it is."""

    by: str
    name: str
    via: str
    severity: Severity


@dataclass(frozen=True, kw_only=True, slots=True)
class Paged:
    """`by` pages about it, as incident `page`, which is one of its own."""

    by: str
    name: str
    via: str
    text: str
    page: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Raised:
    """`by` opens an incident that no alert knows of."""

    by: str
    name: str
    via: str
    title: str
    service: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Acted:
    """Something was asked for, done or not done about it, in the world outside; the incident itself stays as it is."""

    what: What
    by: str
    said: str
    via: str


ByPerson = Acked | Resolved | Reopened | Assigned | Weighed | Noted | Paged
Wish = Told | Untold | Acted | ByPerson
