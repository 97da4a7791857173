"""The life of an incident: one function, `change`, whoever asked. Pure: nothing is stored or sent from here.

| status       | alerts fired        | all alerts ended | ack by a person | resolve by a person | note |
|--------------|---------------------|------------------|-----------------|---------------------|------|
| (none)       | open: OPENED        | resolved: PASSED | -               | -                   | -    |
| open         | open: FIRED         | resolved         | acked           | resolved            | open |
| acknowledged | acknowledged: FIRED | resolved         | the new owner   | resolved            | same |
| resolved     | open: REOPENED      | same             | refused         | nothing             | same |

Severity is the worst of all episodes the incident ever held, and its title is that of its lead alert (the worst, then
the earliest, then the least fingerprint), so both are the same in whatever order the deliveries came.
A wish that changes nothing gives a Change without events, and that is how echoes between platforms die out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from bot.model import Change, Event, Incident, Severity, Status, What
from bot.ports import Rejected


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


_Happened = tuple[What, str, str, str]  #: what, by, said, via

Wish = Told | Acked | Resolved | Noted | Untold


def change(incident: Incident, wish: Wish, *, now: datetime) -> Change:
    """Let `wish` happen to `incident`.

    Raises:
        Rejected: a person asked for what cannot be; the text says why. Alerts are never rejected.
    """
    match wish:
        case Told():
            return _told(incident, wish, now)
        case Acked():
            return _acked(incident, wish, now)
        case Resolved():
            return _resolved(incident, wish, now)
        case Noted():
            said = f"{wish.name}: {wish.text}"
            return _changed(incident, now, (What.NOTED, wish.by, said, wish.via))
        case Untold():
            return _changed(incident, now, (What.UNDELIVERED, wish.channel, wish.said, wish.channel))


def opened(incident_id: int, key: str, told: Told, *, now: datetime) -> Change:
    """The first that is heard of a group. Where its alerts have already ended, it is resolved in the same breath."""
    lead = told.lead or Lead(order="~", title="(no alert named)", severity=Severity.WARNING)
    firing = told.fired
    fresh = Incident(
        id=incident_id,
        key=key,
        source=told.source,
        title=lead.title,
        severity=lead.severity,
        status=Status.OPEN if firing else Status.RESOLVED,
        opened_at=now,
        changed_at=now,
        firing=firing,
        total=firing + told.past,
        service=lead.service,
        resolved_at=None if firing else now,
        resolved_by=None if firing else told.source,
        truncated=told.truncated or 0,
        version=1,
        lead=lead.order,
    )
    said = _opening(fresh) if firing else f"{_opening(fresh)}. It had ended before it was heard of."
    what = What.OPENED if firing else What.PASSED
    return Change(incident=fresh, events=(_event(fresh, now, (what, told.source, said, "")),))


def _told(incident: Incident, told: Told, now: datetime) -> Change:
    firing = max(0, incident.firing + told.fired - told.ended)
    moved = replace(
        _led(incident, told.lead),
        firing=firing,
        total=incident.total + told.fired - told.back + told.past,
        truncated=incident.truncated if told.truncated is None else told.truncated,
    )
    happened = [*_beginnings(incident, moved, told), *_ends(incident, moved, told)]
    if not happened:
        return Change(incident=incident)
    for what, *_ in happened:
        if what is What.REOPENED:
            moved = replace(moved, status=Status.OPEN, owner=None, resolved_at=None, resolved_by=None)
        if what is What.RESOLVED:
            moved = replace(moved, status=Status.RESOLVED, resolved_at=now, resolved_by=told.source)
    return _changed(moved, now, *happened)


def _beginnings(incident: Incident, moved: Incident, told: Told) -> Iterator[_Happened]:
    if incident.status is Status.RESOLVED and moved.firing and (told.fired or told.still):
        why = "firing again" if told.fired else "still firing after it was resolved by hand"
        yield What.REOPENED, told.source, f"{_count(moved.firing)} {why}{_named(told)}.", ""
    elif told.fired:
        yield What.FIRED, told.source, f"{_count(told.fired)} more firing{_named(told)}.", ""
    elif told.past:
        yield What.FIRED, told.source, f"{_count(told.past)} heard of late, and over{_named(told)}.", ""
    if moved.truncated > incident.truncated:
        yield What.FIRED, told.source, f"{moved.truncated} more were not sent by {told.source}.", ""
    alive = incident.status is not Status.RESOLVED or (moved.firing and (told.fired or told.still))
    if alive and moved.severity.rank < incident.severity.rank:
        yield What.WORSENED, told.source, f"Now {moved.severity}: {moved.title}", ""


def _ends(incident: Incident, moved: Incident, told: Told) -> Iterator[_Happened]:
    if not told.ended:
        return
    if incident.status is not Status.RESOLVED and not moved.firing:
        yield What.RESOLVED, told.source, "All alerts have ended.", ""
    else:
        yield What.ENDED, told.source, f"{_count(told.ended)} ended, {moved.firing} still firing.", ""


def _acked(incident: Incident, wish: Acked, now: datetime) -> Change:
    if incident.status is Status.RESOLVED:
        raise Rejected(_already_resolved(incident), code="already_resolved", status=409)
    if incident.status is Status.ACKED and (incident.owner == wish.by or not wish.human):
        return Change(incident=incident)
    said = f"{wish.name} has it."
    if incident.owner and incident.owner != wish.by:
        said = f"{wish.name} takes it over from {incident.owner}."
    taken = replace(incident, status=Status.ACKED, owner=wish.by)
    return _changed(taken, now, (What.ACKED, wish.by, said, wish.via))


def _resolved(incident: Incident, wish: Resolved, now: datetime) -> Change:
    if incident.status is Status.RESOLVED:
        return Change(incident=incident)
    said = f"{wish.name} resolved it."
    if incident.firing:
        said = f"{wish.name} resolved it while {_count(incident.firing)} still fired."
    done = replace(incident, status=Status.RESOLVED, resolved_at=now, resolved_by=wish.by)
    return _changed(done, now, (What.RESOLVED, wish.by, said, wish.via))


def _changed(incident: Incident, now: datetime, *happened: _Happened) -> Change:
    moved = replace(incident, changed_at=now, version=incident.version + 1)
    return Change(incident=moved, events=tuple(_event(moved, now, one) for one in happened))


def _event(incident: Incident, now: datetime, happened: _Happened) -> Event:
    what, by, said, via = happened
    return Event(incident_id=incident.id, at=now, what=what, by=by, said=said, via=via)


def _led(incident: Incident, lead: Lead | None) -> Incident:
    if lead is None or lead.order >= incident.lead:
        return incident
    return replace(incident, lead=lead.order, title=lead.title, severity=lead.severity, service=lead.service)


def _opening(incident: Incident) -> str:
    more = f" (and {incident.total - 1} more)" if incident.total > 1 else ""
    return f"{incident.title}{more}"


def _count(number: int) -> str:
    return f"{number} alert" if number == 1 else f"{number} alerts"


def _named(told: Told) -> str:
    return f": {', '.join(told.names)}" if told.names else ""


def _already_resolved(incident: Incident) -> str:
    when = f" at {incident.resolved_at:%H:%M} UTC" if incident.resolved_at else ""
    return f"Incident {incident.id} is already resolved by {incident.resolved_by}{when}. Nothing was done."
