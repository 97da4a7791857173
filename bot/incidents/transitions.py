"""The transitions of an incident: requested by its alerts, by people, or by the bot. `lifecycle.change` applies them.

`by` is a person's id, `name` their name in the timeline, `via` the channel that the request came through.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Struct

from bot.core.alert import Severity
from bot.core.incident import EventType


@dataclass(frozen=True, kw_only=True, slots=True)
class CourseRules:
    """The settings' rules for what pages again, and for incidents that flap (`incidents.course`)."""

    #: An acknowledgement covers less than this many times the alerts that fired when it was given, or fewer than
    #: `at_least` more ...
    factor: float = 2
    at_least: int = 3
    later: timedelta = timedelta(hours=1)  #: ... and firings that began no longer than this after it.
    reopenings: int = 3  #: so many of them within the next make an incident flap
    within: timedelta = timedelta(hours=1)
    quiet: timedelta = timedelta(minutes=15)  #: an incident that flaps is over when nothing has fired for so long


USUAL_COURSE_RULES = CourseRules()
#: Where `incidents.place_labels` is not set.
PLACE_LABELS = ("cluster", "region", "namespace")


class LeadAlert(Struct, frozen=True, kw_only=True, gc=False):
    """The alert that names an incident. Of several leads, the one with the least `order` counts."""

    order: str
    title: str
    severity: Severity
    service: str | None = None
    never_pages: bool = False  #: its author wants that it wakes nobody, whatever pages


class AlertsChanged(Struct, frozen=True, kw_only=True, gc=False):
    """The effects of one delivery on one incident's alerts, counted."""

    source: str
    fired: int = 0  #: episodes that fire now and did not before
    refired: int = 0  #: of those, episodes that had ended in this incident: `total` does not count them again
    ended: int = 0  #: episodes that fired and do not now
    already_ended: int = 0  #: episodes that had already ended when they were first reported
    repeated: int = 0  #: repeated firings, long enough after a person resolved it to mean "not over"
    lead: LeadAlert | None = None  #: the lead of the delivery's new alerts that fire; None when there are none
    leads: bool = False  #: `lead` is that of all alerts that fire now (of all it had, when none fires): it replaces
    outranked: bool = False  #: an alert of it that does not fire may sort before its lead
    retold: LeadAlert | None = None  #: its present lead, heard with other texts
    heard_again: int = 0  #: repeated firings, where its alerts had not been heard of since the end of the group
    group_ended: bool = False  #: the sender says that all of the group is over; it has left out what fires on
    because: str = ""  #: why the bot itself ended them
    titles: tuple[str, ...] = ()  #: a few titles, for the timeline
    truncated: int | None = None  #: how many alerts the sender left out; None when it did not say
    came_back: int = 0  #: of `fired`, alerts that had ended in this incident a moment before
    no_page_until: datetime | None = None  #: if all that fired came back: until then they page nobody again
    places: tuple[str, ...] = ()  #: of an acknowledged incident: where the alerts of the delivery fire
    began_last: datetime | None = None  #: of an acknowledged incident: the latest start of those that fired anew
    rules: CourseRules = USUAL_COURSE_RULES


class KeepUnheard(Struct, frozen=True, kw_only=True, gc=False):
    """Its alerts, which are not heard of, are kept: `why` says what the source said when it was asked."""

    source: str
    why: str


class Acknowledge(Struct, frozen=True, kw_only=True, gc=False):
    """`by` takes the incident."""

    by: str
    name: str
    via: str
    human: bool = True  #: False for a platform's automation, which never takes an incident from a person
    places: tuple[str, ...] = ()  #: where its alerts fire now
    owner_name: str = ""  #: of whoever has it now, or was assigned it


class Unacknowledge(Struct, frozen=True, kw_only=True, gc=False):
    """Nobody has it any more: `by` gave it back, or a pager took it from its owner."""

    by: str
    name: str
    via: str
    because: str = ""
    page_again: bool = False  #: False where the pager has done that itself
    owner_name: str = ""  #: of whoever has it now


class Resolve(Struct, frozen=True, kw_only=True, gc=False):
    """`by` declares it over, even while its alerts fire."""

    by: str
    name: str
    via: str
    human: bool = True  #: False for a platform's automation
    in_pager: bool = False  #: it was resolved in a pager, whose page is over with that


class AddNote(Struct, frozen=True, kw_only=True, gc=False):
    """`by` adds a sentence to the timeline."""

    by: str
    name: str
    via: str
    text: str


class DeliveryFailed(Struct, frozen=True, kw_only=True, gc=False):
    """A message of this incident cannot be delivered to `channel`, or is late; the other channels show it."""

    channel: str
    text: str


class Reopen(Struct, frozen=True, kw_only=True, gc=False):
    """`by` declares that it is not over."""

    by: str
    name: str
    via: str
    because: str = ""


class Assign(Struct, frozen=True, kw_only=True, gc=False):
    """`by` assigns it to `to`, who has not acknowledged it yet; assigning it to oneself acknowledges it."""

    by: str
    name: str
    via: str
    to: str
    to_name: str = ""
    owner_name: str = ""  #: of whoever has it now, or was assigned it
    places: tuple[str, ...] = ()  #: where its alerts fire now, for whoever assigns it to themselves
    because: str = ""
    in_pager: bool = False  #: it was assigned in a pager, which pages `to` now, even where that is `by`


class SetSeverity(Struct, frozen=True, kw_only=True, gc=False):
    """`by` sets its severity."""

    by: str
    name: str
    via: str
    severity: Severity


class PageSomeone(Struct, frozen=True, kw_only=True, gc=False):
    """`by` pages about it; the page is incident `page`, a separate one."""

    by: str
    name: str
    via: str
    text: str
    page: int


class OpenIncident(Struct, frozen=True, kw_only=True, gc=False):
    """`by` opens an incident without alerts."""

    by: str
    name: str
    via: str
    title: str
    service: str | None = None


class ActionReported(Struct, frozen=True, kw_only=True, gc=False):
    """An action was requested, done or not done because of it. The incident itself does not change."""

    type: EventType
    by: str
    text: str
    via: str


class LookAgain(Struct, frozen=True, kw_only=True, gc=False):
    """The time has come that the incident was to be looked at again (`Incident.look_at`)."""

    quiet: timedelta = USUAL_COURSE_RULES.quiet  #: for how long nothing has fired, if it flaps


PersonTransition = Acknowledge | Unacknowledge | Resolve | Reopen | Assign | SetSeverity | AddNote | PageSomeone
Transition = AlertsChanged | KeepUnheard | LookAgain | DeliveryFailed | ActionReported | PersonTransition
