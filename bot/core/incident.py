"""An incident, its status, its events, and what a commit changed.

Values made by the thousand in a storm are Structs, which are created in a fraction of the time of a frozen dataclass
(docs/decisions/0029). Times are aware UTC datetimes, durations are timedeltas. A row of the database is never one of
these: `bot/store/` translates.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from bot.core.alert import SEVERITY_BY_RANK, Severity
from bot.core.incident_marker import MARK_LENGTH, mark_of
from bot.core.run_state import State
from bot.lib.text import spell_duration


class Status(StrEnum):
    """The status of an incident. Reopened is an event, not a status: a reopened incident is open."""

    OPEN = "open"
    ACKED = "acknowledged"
    RESOLVED = "resolved"


class EventType(StrEnum):
    """What happened to an incident: subject, dot, past tense. A published name never changes."""

    OPENED = "incident.opened"
    OPENED_RESOLVED = (
        "incident.passed"  #: opened and resolved at once: it had already ended when the first delivery came
    )
    ACKED = "incident.acked"
    RESOLVED = "incident.resolved"
    REOPENED = "incident.reopened"
    REFIRED = "incident.refired"  #: open again shortly after its end, by the same alerts: it pages nobody yet
    SEVERITY_RAISED = "incident.worsened"
    SEVERITY_LOWERED = "incident.eased"  #: by a person, or because its worst alert has ended
    ASSIGNED = "incident.assigned"  #: to somebody who has not acknowledged it yet
    PAGED = "incident.paged"  #: a person paged somebody about it, as an incident of its own
    UNACKED = "incident.unacked"  #: nobody has it any more
    PAGED_AGAIN = "incident.paged_again"  #: a further page was opened for it, with a dedup_key of its own
    NOTED = "incident.noted"
    ACTION_PROPOSED = "action.asked"
    ACTION_DONE = "action.done"
    ACTION_NOT_DONE = "action.not_done"  #: it failed and changed nothing
    ACTION_DEGRADED = "action.not_well"  #: it was done, and its target is not healthy
    ACTION_UNKNOWN = "action.unknown"  #: nobody knows whether it was done
    ALERTS_FIRED = "alerts.fired"
    ALERTS_ENDED = "alerts.ended"
    ALERTS_CHANGED = "alerts.changed"  #: what the alert says that names the incident
    MESSAGE_UNDELIVERED = "message.undelivered"


#: Groups of the bot's own alerts, source `vakhta`, that are shown in chats and page nobody begin with this.
QUIET = "vakhta/quiet/"

_HASHED = re.compile(r"[0-9a-f]{64}")
#: The dedup_key of a page after the first: the first one's, its number, and the incident's marker.
_LATER_PAGE = re.compile(rf"(?P<first>[0-9a-f]{{64}})-(?P<number>[1-9][0-9]{{0,8}})-[0-9a-f]{{{MARK_LENGTH}}}")

#: Events that get a line of their own in a chat thread; the others only update the card.
TIMELINE_EVENTS = frozenset(EventType) - {
    EventType.OPENED,
    EventType.OPENED_RESOLVED,
    EventType.ALERTS_FIRED,
    EventType.ALERTS_ENDED,
    EventType.ALERTS_CHANGED,
}


class Coverage(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was known when an incident was acknowledged: the acknowledgement covers no more than this."""

    at: datetime
    firing: int  #: how many alerts fired then
    places: tuple[str, ...] = ()  #: where they fired
    by: str = ""  #: the name of who acknowledged it
    severity: Severity | None = None  #: how bad it was then; None: earlier versions did not store it
    paged: bool = False  #: somebody was paged again after the acknowledgement, and this is what that page knew


class Unheard(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The source said that the group has ended, and never that each of its alerts has."""

    since: datetime
    why: str = ""  #: why they are kept nevertheless, as a clause about them; "" while it is not known


class Course(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What happened to an incident, as far as later decisions depend on it. Most incidents need nothing of it."""

    #: The worst severity that it has had, where an alert that has ended, or a person, may have made it worse than its
    #: present lead does.
    worst: Severity | None = None
    severity_set: bool = False  #: a person set its severity
    never_pages: bool = False  #: the author of its lead wants that it wakes nobody
    unheard: Unheard | None = None  #: of the alerts that fire
    pages: int = 1  #: how many pages were opened for it, each with a dedup_key of its own
    covered: Coverage | None = None  #: of its acknowledgement
    ended_by: str = ""  #: the name of the person who resolved it, where the id is another
    reopened_at: tuple[datetime, ...] = ()  #: by its alerts, lately
    flapping_since: datetime | None = None  #: when the first of these firings began; None: it does not flap
    firings: int = 0  #: while it flaps: how often it has fired since then
    fired_on: bool = False  #: a person resolved it in a pager while its alerts fired: their next repeat opens it


#: Shared by all that have none, so that the most usual case costs nothing.
EMPTY_COURSE = Course()


class Incident(Struct, frozen=True, kw_only=True, gc=False):
    """A problem that people work on: every alert of one group, from its first firing to its last end."""

    id: int
    key: str  #: the group's key; at most one unresolved incident has it
    source: str
    title: str
    severity: Severity  #: the worst of the alerts that fire, or that fired if none does, unless a person set another
    status: Status
    opened_at: datetime
    changed_at: datetime
    firing: int = 0  #: how many of its alerts fire now
    total: int = 0  #: how many episodes belong to it
    service: str | None = None
    owner: str | None = None  #: id of the person who acknowledged it, or while it is open was assigned it
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    truncated: int = 0  #: how many alerts the source said it left out
    version: int = 0  #: +1 with every change
    #: The sort key of the alert that names it (`LeadAlert.order`): the least of those that fire; when none fires, the
    #: least of all it had. It begins with the rank of that alert's severity.
    lead: str = "~"
    course: Course = EMPTY_COURSE
    look_at: datetime | None = None  #: when the scheduler decides about it again

    @property
    def worst(self) -> Severity:
        """The worst severity since it was opened. It never falls, whatever severity people set."""
        led = SEVERITY_BY_RANK.get(self.lead[:1], self.severity)
        return min(self.severity, led, self.course.worst or led, key=_rank)

    @property
    def pages_nobody(self) -> bool:
        """Whether no pager hears of it, whatever its severity."""
        return self.source == "vakhta" and self.key.startswith(QUIET)

    @property
    def pages(self) -> int:
        """How many pages were opened for it; the current one has this number."""
        return self.course.pages

    @property
    def unheard_clause(self) -> str:
        """As "1 alert not heard of since 14:20 UTC", or why it is kept open; "" when all alerts are heard of."""
        unheard = self.course.unheard
        if unheard is None or not self.firing or self.status is Status.RESOLVED:
            return ""
        if unheard.why:
            return unheard.why
        count = "1 alert" if self.firing == 1 else f"{self.firing} alerts"
        return f"{count} not heard of since {unheard.since:%H:%M} UTC"

    @property
    def unsent_clause(self) -> str:
        """As "150 more alerts were not sent by alertmanager: its max_alerts is too low"; "" where all were sent."""
        if not self.truncated:
            return ""
        count = "1 more alert was" if self.truncated == 1 else f"{self.truncated} more alerts were"
        return f"{count} not sent by {self.source}: its `max_alerts` is too low"

    @property
    def count_words(self) -> str:
        """How many alerts fire and how many have ended; "" for the only alert that it has had, while that fires."""
        ended = max(0, self.total - self.firing)
        if not ended:
            return f"{self.firing} firing" if self.firing > 1 else ""
        return f"{self.firing} firing, {ended} ended" if self.firing else f"{ended} ended"

    @property
    def owner_name(self) -> str:
        """The name of whoever acknowledged it; the id of whoever was assigned it; "" for nobody."""
        covered = self.course.covered if self.status is Status.ACKED else None
        return (covered.by if covered else "") or self.owner or ""

    @property
    def resolver_name(self) -> str:
        """The name of the person or the source that resolved it; "" while it is not resolved."""
        return (self.course.ended_by or self.resolved_by or "") if self.status is Status.RESOLVED else ""

    @property
    def is_flapping(self) -> bool:
        """It is held open until its alerts have been quiet for a while. Until then it may be open with none firing."""
        return self.course.flapping_since is not None

    @property
    def awaits_ack(self) -> bool:
        """Whether an acknowledgement by its owner would be news.

        Nobody has it; or somebody was, or is going to be, paged again since they acknowledged it.
        """
        paged = self.course.covered is not None and self.course.covered.paged
        return self.status is Status.OPEN or (self.status is Status.ACKED and (paged or self.page_is_due))

    @property
    def page_is_due(self) -> bool:
        """It fires again, has paged nobody since, and is going to at `look_at`."""
        return self.look_at is not None and not self.is_flapping

    @property
    def firing_words(self) -> str:
        """How many alerts fire, as a list says it."""
        if not self.is_flapping:
            return f"{self.firing} firing"
        return f"{self.flapping_words}; {f'{self.firing} firing' if self.firing else 'nothing fires'} now"

    @property
    def flapping_words(self) -> str:
        """ "flapping: 4 times in 12 min"; "" for an incident that does not flap."""
        since = self.course.flapping_since
        if since is None:
            return ""
        minutes = round((self.changed_at - since) / timedelta(minutes=1))
        return f"flapping: {self.course.firings} times in {spell_duration(timedelta(minutes=max(minutes, 1)))}"

    @property
    def page_key(self) -> str:
        """The dedup_key of its first page, by which all its pages keep their order."""
        return page_key_of(self.key)

    @property
    def current_page_key(self) -> str:
        """The dedup_key of the page that was opened last."""
        return self.page_key_at(self.pages)

    def page_key_at(self, number: int) -> str:
        """The dedup_key of its page with that number; the first is 1.

        A pager notifies nobody about a trigger whose alert is acknowledged already, so each further page has a key of
        its own. The marker keeps a restore from backup from giving out a key again (docs/decisions/0051).
        """
        return self.page_key if number <= 1 else f"{self.page_key}-{number}-{self.mark}"

    def page_number_of(self, page_key: str) -> int | None:
        """The number of its page with that dedup_key; None: it is of no page that was opened for it so far."""
        if page_key == self.page_key:
            return 1
        found = _LATER_PAGE.fullmatch(page_key)
        number = int(found["number"]) if found else 0
        return number if 1 < number <= self.pages and page_key == self.page_key_at(number) else None

    @property
    def mark(self) -> str:
        """Its marker: shown beside its number wherever the number may come back (`incident_marker`)."""
        return mark_of(self.id, self.opened_at, self.source, self.key)

    @property
    def marked(self) -> str:
        """Its number with its marker, as `arguments.IncidentNumber` parses it."""
        return f"{self.id}-{self.mark}"


def what_of(title: str) -> str:
    """The title of an incident of alerts without the sentence at its end: what and where."""
    return title.partition(": ")[0]


def without_what(text: str, title: str) -> str:
    """A sentence of the timeline where the title stands beside it: without the name that it ends with."""
    named = f": {what_of(title)}."
    return text.removesuffix(named) + "." if text.endswith(named) else text


def _rank(severity: Severity) -> int:
    return severity.rank


@lru_cache(maxsize=4096)
def page_key_of(key: str) -> str:
    """The pager's dedup_key for a group, equal to the one of Alertmanager's own PagerDuty notifier.

    Source: Alertmanager `notify.Key.Hash`, the SHA-256 of the groupKey in lower-case hex. A key that its source
    had to shorten to such a hash is used as it is.
    """
    if _HASHED.fullmatch(key):
        return key
    return hashlib.sha256(key.encode()).hexdigest()


def first_page_key_of(page_key: str) -> str:
    """The dedup_key of the first page of the incident that has a page with this one."""
    found = _LATER_PAGE.fullmatch(page_key)
    return found["first"] if found else page_key


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """One entry of an incident's timeline, written in the commit of the change that it describes."""

    incident_id: int
    at: datetime
    type: EventType
    by: str  #: id of a person, or name of a source or channel
    text: str  #: one sentence for people, plain text, untrusted
    via: str = ""  #: the channel it came through; a pager is not sent its own events


class IncidentChange(Struct, frozen=True, kw_only=True, gc=False):
    """The effect of a transition on an incident. No events: nothing happened, nothing is stored, nothing is sent."""

    incident: Incident
    events: tuple[Event, ...] = ()


#: Channels at the bot's own machine: the console on the board, and the command line.
CONSOLE, CLI = "console", "cli"
#: In these, one account means everybody at that machine; only the settings can name the person.
MACHINE = frozenset({CONSOLE, CLI})


@dataclass(frozen=True, kw_only=True, slots=True)
class Committed:
    """What a commit changed, for the code that acts on it afterwards. False when nothing has to be done."""

    channels: frozenset[str] = frozenset()  #: they have new messages in the outbox
    event_types: tuple[EventType, ...] = ()
    run_states: tuple[State, ...] = ()  #: the states of runs that ended

    def __bool__(self) -> bool:
        return bool(self.channels or self.event_types or self.run_states)

    def __or__(self, other: Committed) -> Committed:
        return Committed(
            channels=self.channels | other.channels,
            event_types=self.event_types + other.event_types,
            run_states=self.run_states + other.run_states,
        )


#: Called after a commit, never inside it: wakes the senders, notifies the board, counts.
OnCommit = Callable[[Committed], None]
