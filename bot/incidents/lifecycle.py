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

from bot.core.alert import Severity
from bot.core.errors import Rejected
from bot.core.incident import Event, EventType, Incident, IncidentChange, Status
from bot.core.incident_marker import micros_of
from bot.incidents.transitions import (
    Acknowledge,
    ActionReported,
    AddNote,
    AlertsChanged,
    Assign,
    DeliveryFailed,
    LeadAlert,
    OpenIncident,
    PageSomeone,
    PersonTransition,
    Reopen,
    Resolve,
    SetSeverity,
    Transition,
)

_UNLED = "~"  #: sorts behind every lead
_Happened = tuple[EventType, str, str, str]  #: what, by, said, via


def change(incident: Incident, transition: Transition, *, now: datetime) -> IncidentChange:
    """Let `wish` happen to `incident`.

    Raises:
        Rejected: a person asked for what cannot be; the text says why. Alerts are never rejected.
    """
    match transition:
        case AlertsChanged():
            return _told(incident, transition, now)
        case ActionReported():
            return _changed(incident, now, (transition.type, transition.by, transition.text, transition.via))
        case DeliveryFailed():
            return _changed(
                incident, now, (EventType.MESSAGE_UNDELIVERED, transition.channel, transition.text, transition.channel)
            )
        case _:
            return _by_person(incident, transition, now)


def opened_by_alerts(incident_id: int, key: str, alerts: AlertsChanged, *, now: datetime) -> IncidentChange:
    """The first that is heard of a group. Where its alerts have already ended, it is resolved in the same breath."""
    lead = alerts.lead or LeadAlert(order=_UNLED, title="(no alert named)", severity=Severity.WARNING)
    firing = alerts.fired
    fresh = Incident(
        id=incident_id,
        key=key,
        source=alerts.source,
        title=lead.title,
        severity=lead.severity,
        status=Status.OPEN if firing else Status.RESOLVED,
        opened_at=now,
        changed_at=now,
        firing=firing,
        total=firing + alerts.already_ended,
        service=lead.service,
        resolved_at=None if firing else now,
        resolved_by=None if firing else alerts.source,
        truncated=alerts.truncated or 0,
        version=1,
        lead=lead.order,
    )
    message = _opening(fresh) if firing else f"{_opening(fresh)}. It had ended before it was heard of."
    what = EventType.OPENED if firing else EventType.OPENED_RESOLVED
    return IncidentChange(incident=fresh, events=(_event(fresh, now, (what, alerts.source, message, "")),))


def opened_by_person(incident_id: int, transition: OpenIncident, *, now: datetime) -> IncidentChange:
    """An incident that a person opens: critical, with a key of its own that no alert has; only people resolve it."""
    fresh = Incident(
        id=incident_id,
        key=f"person/{incident_id}/{micros_of(now)}",  # the number alone is given anew after a restore
        source="person",
        title=transition.title,
        severity=Severity.CRITICAL,
        status=Status.OPEN,
        opened_at=now,
        changed_at=now,
        service=transition.service,
        version=1,
        lead=str(Severity.CRITICAL.rank),
    )
    message = f"{transition.name}: {transition.title}"
    return IncidentChange(
        incident=fresh, events=(_event(fresh, now, (EventType.OPENED, transition.by, message, transition.via)),)
    )


def _told(incident: Incident, alerts: AlertsChanged, now: datetime) -> IncidentChange:
    firing = max(0, incident.firing + alerts.fired - alerts.ended)
    moved = replace(
        _led(incident, alerts.lead),
        firing=firing,
        total=incident.total + alerts.fired - alerts.refired + alerts.already_ended,
        truncated=incident.truncated if alerts.truncated is None else alerts.truncated,
    )
    happened = [*_beginnings(incident, moved, alerts), *_ends(incident, moved, alerts)]
    if not happened:
        return IncidentChange(incident=incident)
    for what, *_ in happened:
        if what is EventType.REOPENED:
            moved = replace(moved, status=Status.OPEN, owner=None, resolved_at=None, resolved_by=None)
        if what is EventType.RESOLVED:
            moved = replace(moved, status=Status.RESOLVED, resolved_at=now, resolved_by=alerts.source)
    return _changed(moved, now, *happened)


def _beginnings(incident: Incident, moved: Incident, alerts: AlertsChanged) -> Iterator[_Happened]:
    if incident.status is Status.RESOLVED and moved.firing and (alerts.fired or alerts.repeated):
        reason = "firing again" if alerts.fired else "still firing after it was resolved by hand"
        yield EventType.REOPENED, alerts.source, f"{_count(moved.firing)} {reason}{_named(alerts)}.", ""
    elif alerts.fired:
        yield EventType.ALERTS_FIRED, alerts.source, f"{_count(alerts.fired)} more firing{_named(alerts)}.", ""
    elif alerts.already_ended:
        yield (
            EventType.ALERTS_FIRED,
            alerts.source,
            f"{_count(alerts.already_ended)} heard of late, and over{_named(alerts)}.",
            "",
        )
    if moved.truncated > incident.truncated:
        yield EventType.ALERTS_FIRED, alerts.source, f"{moved.truncated} more were not sent by {alerts.source}.", ""
    alive = incident.status is not Status.RESOLVED or (moved.firing and (alerts.fired or alerts.repeated))
    if alive and moved.severity.rank < incident.severity.rank:
        yield EventType.SEVERITY_RAISED, alerts.source, f"Now {moved.severity}: {moved.title}", ""


def _ends(incident: Incident, moved: Incident, alerts: AlertsChanged) -> Iterator[_Happened]:
    if not alerts.ended:
        return
    if incident.status is not Status.RESOLVED and not moved.firing:
        yield EventType.RESOLVED, alerts.source, "All alerts have ended.", ""
    else:
        yield EventType.ALERTS_ENDED, alerts.source, f"{_count(alerts.ended)} ended, {moved.firing} still firing.", ""


def _by_person(incident: Incident, transition: PersonTransition, now: datetime) -> IncidentChange:
    match transition:
        case Acknowledge():
            return _acked(incident, transition, now)
        case Resolve():
            return _resolved(incident, transition, now)
        case Reopen():
            return _reopened(incident, transition, now)
        case Assign():
            return _assigned(incident, transition, now)
        case SetSeverity():
            return _weighed(incident, transition, now)
        case _:
            return _changed(incident, now, _remark(transition))


def _remark(wish: AddNote | PageSomeone) -> _Happened:
    if isinstance(wish, AddNote):
        return EventType.NOTED, wish.by, f"{wish.name}: {wish.text}", wish.via
    return EventType.PAGED, wish.by, f"{wish.name} paged about it as incident {wish.page}: {wish.text}", wish.via


def _acked(incident: Incident, transition: Acknowledge, now: datetime) -> IncidentChange:
    if incident.status is Status.RESOLVED:
        raise Rejected(_already_resolved(incident), code="already_resolved", status=409)
    if incident.status is Status.ACKED and incident.owner == transition.by:
        return IncidentChange(incident=incident)
    if incident.owner and not transition.human:
        return IncidentChange(incident=incident)
    message = f"{transition.name} has it."
    if incident.owner and incident.owner != transition.by:
        message = f"{transition.name} takes it over from {incident.owner}."
    taken = replace(incident, status=Status.ACKED, owner=transition.by)
    return _changed(taken, now, (EventType.ACKED, transition.by, message, transition.via))


def _resolved(incident: Incident, transition: Resolve, now: datetime) -> IncidentChange:
    if incident.status is Status.RESOLVED:
        return IncidentChange(incident=incident)
    message = f"{transition.name} resolved it."
    if incident.firing:
        message = f"{transition.name} resolved it while {_count(incident.firing)} still fired."
    done = replace(incident, status=Status.RESOLVED, resolved_at=now, resolved_by=transition.by)
    return _changed(done, now, (EventType.RESOLVED, transition.by, message, transition.via))


def _reopened(incident: Incident, transition: Reopen, now: datetime) -> IncidentChange:
    if incident.status is not Status.RESOLVED:
        return IncidentChange(incident=incident)
    message = f"{transition.name} reopened it{f': {transition.because}' if transition.because else '.'}"
    back = replace(incident, status=Status.OPEN, owner=None, resolved_at=None, resolved_by=None)
    return _changed(back, now, (EventType.REOPENED, transition.by, message, transition.via))


def _assigned(incident: Incident, transition: Assign, now: datetime) -> IncidentChange:
    if transition.to == transition.by:
        return _acked(incident, Acknowledge(by=transition.by, name=transition.name, via=transition.via), now)
    if incident.status is Status.RESOLVED:
        raise Rejected(_already_resolved(incident), code="already_resolved", status=409)
    if incident.owner == transition.to:
        return IncidentChange(incident=incident)
    given = replace(incident, status=Status.OPEN, owner=transition.to)
    return _changed(
        given,
        now,
        (EventType.ASSIGNED, transition.by, f"{transition.name} assigned it to {transition.to}.", transition.via),
    )


def _weighed(incident: Incident, transition: SetSeverity, now: datetime) -> IncidentChange:
    if incident.status is Status.RESOLVED:
        raise Rejected(_already_resolved(incident), code="already_resolved", status=409)
    if transition.severity is incident.severity:
        return IncidentChange(incident=incident)
    worse = transition.severity.rank < incident.severity.rank
    message = f"{transition.name}: {transition.severity} now, {incident.severity} before."
    weighed = replace(incident, severity=transition.severity)
    if transition.severity.rank < incident.worst.rank or incident.lead == _UNLED:
        worst = min(transition.severity.rank, incident.worst.rank)
        weighed = replace(weighed, lead=f"{worst}|{_UNLED}")  # an alert as bad as that still names it
    return _changed(
        weighed,
        now,
        (EventType.SEVERITY_RAISED if worse else EventType.SEVERITY_LOWERED, transition.by, message, transition.via),
    )


def _changed(incident: Incident, now: datetime, *happened: _Happened) -> IncidentChange:
    moved = replace(incident, changed_at=now, version=incident.version + 1)
    return IncidentChange(incident=moved, events=tuple(_event(moved, now, one) for one in happened))


def _event(incident: Incident, now: datetime, happened: _Happened) -> Event:
    what, by, message, via = happened
    return Event(incident_id=incident.id, at=now, type=what, by=by, text=message, via=via)


def _led(incident: Incident, lead: LeadAlert | None) -> Incident:
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


def _named(alerts: AlertsChanged) -> str:
    return f": {', '.join(alerts.titles)}" if alerts.titles else ""


def _already_resolved(incident: Incident) -> str:
    when = f" at {incident.resolved_at:%H:%M} UTC" if incident.resolved_at else ""
    return f"Incident {incident.id} is already resolved by {incident.resolved_by}{when}. Nothing was done."
