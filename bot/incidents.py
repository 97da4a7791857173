"""The life of an incident: one function, `change`, whoever asked. Pure: nothing is stored or sent from here.

| status       | alerts fired        | all alerts ended | ack by a person | resolve by a person | note, page again |
|--------------|---------------------|------------------|-----------------|---------------------|------------------|
| (none)       | open: OPENED        | resolved: PASSED | -               | -                   | -                |
| open         | open: FIRED         | resolved         | acked           | resolved            | same             |
| acknowledged | acknowledged: FIRED | resolved         | the new owner   | resolved            | same             |
| resolved     | open: REOPENED      | same             | refused         | nothing             | same             |

| status       | reopen by a person | assign to another      | assign to oneself | a worse severity | a milder one |
|--------------|--------------------|------------------------|-------------------|------------------|--------------|
| (none)       | (raise: OPENED)    | -                      | -                 | -                | -            |
| open         | nothing            | open, theirs: ASSIGNED | as ack            | same: WORSENED   | same: EASED  |
| acknowledged | nothing            | open, theirs: ASSIGNED | as ack            | same: WORSENED   | same: EASED  |
| resolved     | open: REOPENED     | refused                | refused           | refused          | refused      |

Who was assigned has not said yes, so the incident counts as nobody's work until they ack; assigning it to whom it
is assigned already, and the severity it has already, are nothing.

Its title is that of its lead alert (the worst, then the earliest, then the least fingerprint), and while no person has
said how bad it is, its severity is that of the lead too: both are the same in whatever order the deliveries came.
What a person says stands against every alert that is no worse than what the incident has been; a worse one raises it,
and says so (docs/decisions/0016).
A wish that changes nothing gives a Change without events, and that is how echoes between platforms die out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from bot.marking import micros_of
from bot.model import Change, Event, Incident, Severity, Status, What
from bot.ports import Rejected
from bot.wishes import (
    Acked,
    Acted,
    Assigned,
    ByPerson,
    Lead,
    Noted,
    Paged,
    Raised,
    Reopened,
    Resolved,
    Told,
    Untold,
    Weighed,
    Wish,
)

_UNLED = "~"  #: sorts behind every lead
_Happened = tuple[What, str, str, str]  #: what, by, said, via


def change(incident: Incident, wish: Wish, *, now: datetime) -> Change:
    """Let `wish` happen to `incident`.

    Raises:
        Rejected: a person asked for what cannot be; the text says why. Alerts are never rejected.
    """
    match wish:
        case Told():
            return _told(incident, wish, now)
        case Acted():
            return _changed(incident, now, (wish.what, wish.by, wish.said, wish.via))
        case Untold():
            return _changed(incident, now, (What.UNDELIVERED, wish.channel, wish.said, wish.channel))
        case _:
            return _by_person(incident, wish, now)


def opened(incident_id: int, key: str, told: Told, *, now: datetime) -> Change:
    """The first that is heard of a group. Where its alerts have already ended, it is resolved in the same breath."""
    lead = told.lead or Lead(order=_UNLED, title="(no alert named)", severity=Severity.WARNING)
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


def raised(incident_id: int, wish: Raised, *, now: datetime) -> Change:
    """An incident that a person opens: critical, with a key of its own that no alert has; only people resolve it."""
    fresh = Incident(
        id=incident_id,
        key=f"person/{incident_id}/{micros_of(now)}",  # the number alone is given anew after a restore
        source="person",
        title=wish.title,
        severity=Severity.CRITICAL,
        status=Status.OPEN,
        opened_at=now,
        changed_at=now,
        service=wish.service,
        version=1,
        lead=str(Severity.CRITICAL.rank),
    )
    said = f"{wish.name}: {wish.title}"
    return Change(incident=fresh, events=(_event(fresh, now, (What.OPENED, wish.by, said, wish.via)),))


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


def _by_person(incident: Incident, wish: ByPerson, now: datetime) -> Change:
    match wish:
        case Acked():
            return _acked(incident, wish, now)
        case Resolved():
            return _resolved(incident, wish, now)
        case Reopened():
            return _reopened(incident, wish, now)
        case Assigned():
            return _assigned(incident, wish, now)
        case Weighed():
            return _weighed(incident, wish, now)
        case _:
            return _changed(incident, now, _remark(wish))


def _remark(wish: Noted | Paged) -> _Happened:
    if isinstance(wish, Noted):
        return What.NOTED, wish.by, f"{wish.name}: {wish.text}", wish.via
    return What.PAGED, wish.by, f"{wish.name} paged about it as incident {wish.page}: {wish.text}", wish.via


def _acked(incident: Incident, wish: Acked, now: datetime) -> Change:
    if incident.status is Status.RESOLVED:
        raise Rejected(_already_resolved(incident), code="already_resolved", status=409)
    if incident.status is Status.ACKED and incident.owner == wish.by:
        return Change(incident=incident)
    if incident.owner and not wish.human:
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


def _reopened(incident: Incident, wish: Reopened, now: datetime) -> Change:
    if incident.status is not Status.RESOLVED:
        return Change(incident=incident)
    said = f"{wish.name} reopened it{f': {wish.because}' if wish.because else '.'}"
    back = replace(incident, status=Status.OPEN, owner=None, resolved_at=None, resolved_by=None)
    return _changed(back, now, (What.REOPENED, wish.by, said, wish.via))


def _assigned(incident: Incident, wish: Assigned, now: datetime) -> Change:
    if wish.to == wish.by:
        return _acked(incident, Acked(by=wish.by, name=wish.name, via=wish.via), now)
    if incident.status is Status.RESOLVED:
        raise Rejected(_already_resolved(incident), code="already_resolved", status=409)
    if incident.owner == wish.to:
        return Change(incident=incident)
    given = replace(incident, status=Status.OPEN, owner=wish.to)
    return _changed(given, now, (What.ASSIGNED, wish.by, f"{wish.name} assigned it to {wish.to}.", wish.via))


def _weighed(incident: Incident, wish: Weighed, now: datetime) -> Change:
    if incident.status is Status.RESOLVED:
        raise Rejected(_already_resolved(incident), code="already_resolved", status=409)
    if wish.severity is incident.severity:
        return Change(incident=incident)
    worse = wish.severity.rank < incident.severity.rank
    said = f"{wish.name}: {wish.severity} now, {incident.severity} before."
    weighed = replace(incident, severity=wish.severity)
    if wish.severity.rank < incident.worst.rank or incident.lead == _UNLED:
        worst = min(wish.severity.rank, incident.worst.rank)
        weighed = replace(weighed, lead=f"{worst}|{_UNLED}")  # an alert as bad as that still names it
    return _changed(weighed, now, (What.WORSENED if worse else What.EASED, wish.by, said, wish.via))


def _changed(incident: Incident, now: datetime, *happened: _Happened) -> Change:
    moved = replace(incident, changed_at=now, version=incident.version + 1)
    return Change(incident=moved, events=tuple(_event(moved, now, one) for one in happened))


def _event(incident: Incident, now: datetime, happened: _Happened) -> Event:
    what, by, said, via = happened
    return Event(incident_id=incident.id, at=now, what=what, by=by, said=said, via=via)


def _led(incident: Incident, lead: Lead | None) -> Incident:
    if lead is None or lead.order >= incident.lead:
        return incident
    news = lead.severity.rank < incident.worst.rank or incident.lead == _UNLED
    return replace(
        incident,
        lead=lead.order,
        title=lead.title,
        severity=lead.severity if news else incident.severity,
        service=lead.service,
    )


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
