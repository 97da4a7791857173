"""The state machine of an incident: `change` applies every transition. Pure: nothing is stored or sent from here.

The tables give the new status and, in capitals, the event by its stored name (PASSED is `incident.passed`).

| status       | alerts fired        | all alerts ended | ack by a person | resolve by a person | note, page again |
|--------------|---------------------|------------------|-----------------|---------------------|------------------|
| (none)       | open: OPENED        | resolved: PASSED | -               | -                   | -                |
| open         | open: FIRED         | resolved         | acked           | resolved            | same             |
| acknowledged | acknowledged: FIRED | resolved         | same, new owner | resolved            | same             |
| resolved     | open: REOPENED      | same             | refused         | nothing             | same             |

| status       | reopen by a person | assign to another      | assign to oneself | a worse severity | a milder one |
|--------------|--------------------|------------------------|-------------------|------------------|--------------|
| (none)       | (raise: OPENED)    | -                      | -                 | -                | -            |
| open         | nothing            | open, theirs: ASSIGNED | as ack            | same: WORSENED   | same: EASED  |
| acknowledged | nothing            | open, theirs: ASSIGNED | as ack            | same: WORSENED   | same: EASED  |
| resolved     | open: REOPENED     | refused                | refused           | refused          | refused      |

| status       | same alerts fire at once | alerts beyond the ack    | ends, if it flaps | `look_at` has come       |
|--------------|--------------------------|--------------------------|-------------------|--------------------------|
| open         | -                        | -                        | same: ENDED       | PAGED_AGAIN, or resolved |
| acknowledged | -                        | same: FIRED, PAGED_AGAIN | same: ENDED       | PAGED_AGAIN, or resolved |
| resolved     | as before it: REFIRED    | -                        | -                 | nothing                  |

`course` has the rules of this last table. By a person, an acknowledgement of what paged again is an event as well.
An acknowledged incident that is given back is open and nobody's: UNACKED, and PAGED_AGAIN unless it happened in a
pager, which pages by itself.

An assignee has not agreed yet, so an assigned incident stays open until they acknowledge it. Assigning it to its
assignee again, or setting the severity that it has, changes nothing. What happened in a pager is a fact: it is told
with its reason even where it changes nothing else (docs/decisions/0051).

An incident's title is that of its lead alert: of those that fire, the worst, then the earliest, then the one with the
least fingerprint. While none fires, it is the first of all that it had. Its severity is the lead's too, until a person
sets one. Both are independent of the order in which deliveries arrive. When the lead ends and a milder alert fires on,
the severity eases, with an event. A severity set by a person holds against every alert that is no
worse than the incident has been; a worse one raises it, with an event (docs/decisions/0016).

A transition that changes nothing gives an `IncidentChange` without events: that is how echoes between platforms end.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from bot.core.alert import Severity
from bot.core.errors import Rejected
from bot.core.incident import (
    EMPTY_COURSE,
    Course,
    Event,
    EventType,
    Incident,
    IncidentChange,
    Status,
    Unheard,
    what_of,
)
from bot.core.incident_marker import micros_of
from bot.incidents import course
from bot.incidents.transitions import (
    Acknowledge,
    ActionReported,
    AddNote,
    AlertsChanged,
    Assign,
    DeliveryFailed,
    KeepUnheard,
    LeadAlert,
    LookAgain,
    OpenIncident,
    PageSomeone,
    PersonTransition,
    Reopen,
    Resolve,
    SetSeverity,
    Transition,
    Unacknowledge,
)

_UNLED = "~"  #: sorts behind every lead
_Happened = tuple[EventType, str, str, str]  #: event type, by, text, via


def change(incident: Incident, transition: Transition, *, now: datetime) -> IncidentChange:
    """Apply a transition to an incident.

    Raises:
        Rejected: a person's transition does not apply; the text gives the reason. Alerts are never rejected.
    """
    match transition:
        case AlertsChanged():
            return _by_alerts(incident, transition, now)
        case KeepUnheard():
            return _kept_unheard(incident, transition, now)
        case LookAgain():
            return _looked_again(incident, transition, now)
        case ActionReported():
            return _changed(incident, now, (transition.type, transition.by, transition.text, transition.via))
        case DeliveryFailed():
            return _changed(
                incident, now, (EventType.MESSAGE_UNDELIVERED, transition.channel, transition.text, transition.channel)
            )
        case _:
            return _by_person(incident, transition, now)


def opened_by_alerts(incident_id: int, key: str, alerts: AlertsChanged, *, now: datetime) -> IncidentChange:
    """The first incident of a group. If its alerts have already ended, it is created resolved."""
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
        course=_opening_course(lead, alerts),
    )
    message = _opening(fresh) if firing else f"{_opening(fresh)}. It had already ended when it was first reported."
    event_type = EventType.OPENED if firing else EventType.OPENED_RESOLVED
    return IncidentChange(incident=fresh, events=(_event(fresh, now, (event_type, alerts.source, message, "")),))


def opened_by_person(incident_id: int, transition: OpenIncident, *, now: datetime) -> IncidentChange:
    """An incident opened by a person: critical, with a key that no alert has, and resolved only by people.

    Its title says who asks for help: whoever is woken calls them back.
    """
    title = f"{transition.name}: {transition.title}"
    fresh = Incident(
        id=incident_id,
        key=f"person/{incident_id}/{micros_of(now)}",  # after a restore the number alone is not unique
        source="person",
        title=title,
        severity=Severity.CRITICAL,
        status=Status.OPEN,
        opened_at=now,
        changed_at=now,
        service=transition.service,
        version=1,
        lead=str(Severity.CRITICAL.rank),
    )
    return IncidentChange(
        incident=fresh, events=(_event(fresh, now, (EventType.OPENED, transition.by, title, transition.via)),)
    )


def _by_alerts(incident: Incident, alerts: AlertsChanged, now: datetime) -> IncidentChange:
    firing = max(0, incident.firing + alerts.fired - alerts.ended)
    updated = replace(
        _with_unheard(_with_lead(incident, alerts, firing), alerts, firing, now),
        firing=firing,
        total=incident.total + alerts.fired - alerts.refired + alerts.already_ended,
        truncated=incident.truncated if alerts.truncated is None else alerts.truncated,
    )
    back = course.reopening(incident, updated, alerts, now)
    happened = [*_beginnings(incident, updated, alerts, back), *_ends(incident, updated, alerts)]
    happened += _reworded(incident, updated, alerts)
    if not happened:
        return IncidentChange(incident=incident)
    if back is not None:
        return _changed(back.incident, now, *happened)
    if any(event_type is EventType.RESOLVED for event_type, *_ in happened):
        return _changed(course.ended(updated, now), now, *happened)
    if incident.status is Status.RESOLVED:
        return _changed(updated, now, *happened)
    followed, news = course.followed(incident, updated, alerts, now)
    if news:
        happened.append((EventType.PAGED_AGAIN, alerts.source, news, ""))
    return _changed(followed, now, *happened)


def _beginnings(
    incident: Incident, updated: Incident, alerts: AlertsChanged, back: course.Reopening | None
) -> Iterator[_Happened]:
    which = course.named(alerts, updated.title)
    if back is not None:
        resolved = f"it was resolved by {incident.resolver_name or 'hand'}"
        reason = "firing again" if alerts.fired else f"still firing after {resolved}"
        yield (
            back.type,
            alerts.source,
            f"{course.count_alerts(updated.firing)} {reason}{which}.{back.note}",
            "",
        )
    elif alerts.fired:
        yield (
            EventType.ALERTS_FIRED,
            alerts.source,
            f"{course.count_alerts(alerts.fired)} more firing{which}.",
            "",
        )
    elif alerts.already_ended:
        yield (
            EventType.ALERTS_FIRED,
            alerts.source,
            f"{course.count_alerts(alerts.already_ended)} reported late, already ended{which}.",
            "",
        )
    if updated.truncated > incident.truncated:
        yield EventType.ALERTS_FIRED, alerts.source, f"{updated.unsent_clause}.", ""
    alive = incident.status is not Status.RESOLVED or back is not None
    if alive and updated.firing and course.is_worse(incident, updated):
        yield EventType.SEVERITY_RAISED, alerts.source, _now_severe(incident, updated), ""


def _reworded(incident: Incident, updated: Incident, alerts: AlertsChanged) -> Iterator[_Happened]:
    """What follows from another lead. A reopened incident is told anew, so nothing has eased there."""
    if incident.status is Status.RESOLVED or not updated.firing:
        return
    if updated.severity.rank > incident.severity.rank and not incident.is_flapping:
        yield EventType.SEVERITY_LOWERED, alerts.source, _now_severe(incident, updated), ""
    elif alerts.retold:
        said = f"It says now: {updated.title}" if updated.title != incident.title else "Its alert has other texts now."
        yield EventType.ALERTS_CHANGED, alerts.source, said, ""
    if alerts.heard_again and incident.course.unheard:
        yield EventType.ALERTS_CHANGED, alerts.source, f"{course.count_alerts(alerts.heard_again)} heard of again.", ""


def _now_severe(incident: Incident, updated: Incident) -> str:
    """The title is named where it is another now, without the sentence at its end: the card has that."""
    names = f": {what_of(updated.title)}" if updated.title != incident.title else ""
    return f"Now {updated.severity}, was {incident.severity}{names}."


def _ends(incident: Incident, updated: Incident, alerts: AlertsChanged) -> Iterator[_Happened]:
    if not alerts.ended:
        return
    because, ended = f"{alerts.because} " if alerts.because else "", course.count_alerts(alerts.ended)
    if incident.status is not Status.RESOLVED and not updated.firing and not incident.is_flapping:
        yield EventType.RESOLVED, alerts.source, f"{because}All alerts have ended.", ""
    elif updated.course.unheard and not incident.course.unheard:
        said = f"says that the group has ended, and nothing about {course.count_alerts(updated.firing)}"
        yield EventType.ALERTS_ENDED, alerts.source, f"{ended} ended. {alerts.source} {said}.", ""
    else:
        yield EventType.ALERTS_ENDED, alerts.source, f"{because}{ended} ended, {updated.firing} still firing.", ""


def _looked_again(incident: Incident, transition: LookAgain, now: datetime) -> IncidentChange:
    looked, event_type, reason = course.looked_again(incident, transition.quiet, now)
    if event_type is None:
        return IncidentChange(incident=looked)
    return _changed(looked, now, (event_type, incident.source, reason, ""))


def _by_person(incident: Incident, transition: PersonTransition, now: datetime) -> IncidentChange:
    match transition:
        case Acknowledge() | Unacknowledge() | Assign():
            return _owner_changed(incident, transition, now)
        case Resolve():
            return _resolved(incident, transition, now)
        case Reopen():
            return _reopened(incident, transition, now)
        case SetSeverity():
            return _severity_set(incident, transition, now)
        case _:
            return _changed(incident, now, _remark(transition))


def _owner_changed(
    incident: Incident, transition: Acknowledge | Unacknowledge | Assign, now: datetime
) -> IncidentChange:
    match transition:
        case Acknowledge():
            return _acked(incident, transition, now)
        case Unacknowledge():
            return _unacked(incident, transition, now)
        case Assign():
            return _assigned(incident, transition, now)


def _remark(transition: AddNote | PageSomeone) -> _Happened:
    if isinstance(transition, AddNote):
        return EventType.NOTED, transition.by, f"{transition.name}: {transition.text}", transition.via
    return (
        EventType.PAGED,
        transition.by,
        f"{transition.name} paged about it as incident {transition.page}: {transition.text}",
        transition.via,
    )


def _acked(incident: Incident, transition: Acknowledge, now: datetime) -> IncidentChange:
    if incident.status is Status.RESOLVED:
        raise Rejected(_already_resolved(incident), code="already_resolved", status=409)
    if incident.owner == transition.by and not incident.awaits_ack:
        return IncidentChange(incident=incident)
    if incident.owner and not transition.human:
        return IncidentChange(incident=incident)
    message = f"{transition.name} has it."
    if incident.status is Status.ACKED and incident.owner == transition.by:
        message = f"{transition.name} still has it, with {course.count_alerts(incident.firing)} firing."
    elif incident.owner and incident.owner != transition.by:
        message = f"{transition.name} takes it over from {transition.owner_name or incident.owner_name}."
    taken = replace(incident, status=Status.ACKED, owner=transition.by)
    taken = course.covering(taken, by=transition.name, places=transition.places, now=now)
    if incident.page_is_due:
        taken = replace(taken, look_at=None)
    return _changed(taken, now, (EventType.ACKED, transition.by, message, transition.via))


def _unacked(incident: Incident, transition: Unacknowledge, now: datetime) -> IncidentChange:
    """Of a pager it is told even where nobody had it, if there is a reason: whom it pages now, for example."""
    if incident.status is Status.RESOLVED:
        raise Rejected(_already_resolved(incident), code="already_resolved", status=409)
    had = incident.status is Status.ACKED
    if not had and (transition.page_again or not transition.because):
        return IncidentChange(incident=incident)
    because = f": {transition.because.rstrip('.')}" if transition.because else ""
    owner = transition.owner_name or incident.owner_name or "nobody"
    whose = "it back" if incident.owner == transition.by else f"back what {owner} had"
    told = f"{transition.name} gave {whose}{because}."
    in_pager = f" {_in_pager(transition.name, transition.because) if because else told}"
    nobody = f"Nobody has it now.{'' if transition.page_again else in_pager}"
    happened = [(EventType.UNACKED, transition.by, nobody, transition.via)]
    freed = course.with_course(replace(incident, status=Status.OPEN, owner=None), covered=None)
    if had and transition.page_again:
        freed = course.with_further_page(freed)
        happened.append((EventType.PAGED_AGAIN, transition.by, f"{told} It pages again.", transition.via))
    return _changed(freed, now, *happened)


def _resolved(incident: Incident, transition: Resolve, now: datetime) -> IncidentChange:
    if incident.status is Status.RESOLVED:
        return IncidentChange(incident=incident)
    where = (" in the pager" if transition.human else " by itself") if transition.in_pager else ""
    message = f"{transition.name} resolved it{where}."
    if incident.firing:
        again = f"It opens again, and pages, when {'it is' if incident.firing == 1 else 'they are'} sent again."
        message = (
            f"{transition.name} resolved it{where} while {course.count_alerts(incident.firing)} still fired. {again}"
        )
    named = transition.name if transition.name != transition.by else ""
    ended = course.with_course(
        course.forgotten(incident),
        ended_by=named,
        fired_on=bool(incident.firing and transition.in_pager and transition.human),
    )
    done = replace(ended, status=Status.RESOLVED, resolved_at=now, resolved_by=transition.by)
    return _changed(done, now, (EventType.RESOLVED, transition.by, message, transition.via))


def _reopened(incident: Incident, transition: Reopen, now: datetime) -> IncidentChange:
    if incident.status is not Status.RESOLVED:
        return IncidentChange(incident=incident)
    message = f"{transition.name} reopened it{f': {transition.because}' if transition.because else '.'}"
    back = replace(course.forgotten(incident), status=Status.OPEN, owner=None, resolved_at=None, resolved_by=None)
    return _changed(back, now, (EventType.REOPENED, transition.by, message, transition.via))


def _assigned(incident: Incident, transition: Assign, now: datetime) -> IncidentChange:
    if transition.to == transition.by and not transition.in_pager:
        own = Acknowledge(
            by=transition.by,
            name=transition.name,
            via=transition.via,
            places=transition.places,
            owner_name=transition.owner_name,
        )
        return _acked(incident, own, now)
    if incident.status is Status.RESOLVED:
        raise Rejected(_already_resolved(incident), code="already_resolved", status=409)
    if incident.owner == transition.to and not transition.in_pager:
        return IncidentChange(incident=incident)
    given = course.with_course(replace(incident, status=Status.OPEN, owner=transition.to), covered=None)
    because = f": {transition.because.rstrip('.')}" if transition.because else ""
    message = f"{transition.name} assigned it to {transition.to_name or transition.to}{because}."
    if transition.in_pager and transition.because:  # that says already to whom
        message = _in_pager(transition.name, transition.because)
    return _changed(given, now, (EventType.ASSIGNED, transition.by, message, transition.via))


def _in_pager(name: str, what: str) -> str:
    """What happened in a pager, and whose doing it was; the pager itself is named in it already."""
    what = what.rstrip(".")
    return f"{what[:1].upper()}{what[1:]}." if name in what else f"{name}: {what}."


def _severity_set(incident: Incident, transition: SetSeverity, now: datetime) -> IncidentChange:
    if incident.status is Status.RESOLVED:
        raise Rejected(_already_resolved(incident), code="already_resolved", status=409)
    if transition.severity is incident.severity:
        return IncidentChange(incident=incident)
    worse = transition.severity.rank < incident.severity.rank
    message = f"{transition.name} changed the severity from {incident.severity} to {transition.severity}."
    worst = min(transition.severity, incident.worst, key=_rank)
    updated = replace(
        incident, severity=transition.severity, course=replace(incident.course, severity_set=True, worst=worst)
    )
    if worse:
        updated = course.paged_since_ack(updated, now)
    return _changed(
        updated,
        now,
        (EventType.SEVERITY_RAISED if worse else EventType.SEVERITY_LOWERED, transition.by, message, transition.via),
    )


def _changed(incident: Incident, now: datetime, *happened: _Happened) -> IncidentChange:
    updated = replace(incident, changed_at=now, version=incident.version + 1)
    return IncidentChange(incident=updated, events=tuple(_event(updated, now, one) for one in happened))


def _event(incident: Incident, now: datetime, happened: _Happened) -> Event:
    event_type, by, message, via = happened
    return Event(incident_id=incident.id, at=now, type=event_type, by=by, text=message, via=via)


def _with_lead(incident: Incident, alerts: AlertsChanged, firing: int) -> Incident:
    """`firing`: how many alerts fire now."""
    if alerts.retold:
        incident = replace(incident, title=alerts.retold.title)
    lead, course, worst = alerts.lead, incident.course, incident.worst
    if alerts.outranked and course.worst is None:
        course = replace(course, worst=worst)
    if lead is None or (lead.order >= incident.lead and not alerts.leads):
        return incident if course is incident.course else replace(incident, course=course)
    worse = lead.severity.rank < worst.rank
    if alerts.leads and not firing:
        course = replace(course, worst=worst if worst.rank < lead.severity.rank else None)
    elif course.worst is None and lead.order > incident.lead:
        course = replace(course, worst=worst)
    held = _is_set_by_person(incident) and not worse
    if (course.severity_set and not held) or course.never_pages != lead.never_pages:
        course = replace(course, severity_set=course.severity_set and held, never_pages=lead.never_pages)
    return replace(
        incident,
        lead=lead.order,
        title=lead.title,
        severity=incident.severity if held else lead.severity,
        service=lead.service,
        course=course,
    )


def _with_unheard(incident: Incident, alerts: AlertsChanged, firing: int, now: datetime) -> Incident:
    """The group's word that it has ended holds until one of its alerts is heard of again, or all have ended."""
    before = unheard = incident.course.unheard
    if not firing or alerts.fired or alerts.repeated or alerts.heard_again:
        unheard = None
    elif before is None and alerts.group_ended and alerts.ended and incident.status is not Status.RESOLVED:
        unheard = Unheard(since=now)
    return incident if unheard is before else replace(incident, course=replace(incident.course, unheard=unheard))


def _kept_unheard(incident: Incident, transition: KeepUnheard, now: datetime) -> IncidentChange:
    unheard = incident.course.unheard
    if unheard is None or unheard.why == transition.why:
        return IncidentChange(incident=incident)
    kept = replace(incident, course=replace(incident.course, unheard=replace(unheard, why=transition.why)))
    return _changed(kept, now, (EventType.ALERTS_CHANGED, transition.source, f"Kept open: {transition.why}.", ""))


def _opening_course(lead: LeadAlert, alerts: AlertsChanged) -> Course:
    if not alerts.outranked and not lead.never_pages:
        return EMPTY_COURSE
    return Course(worst=lead.severity if alerts.outranked else None, never_pages=lead.never_pages)


def _is_set_by_person(incident: Incident) -> bool:
    """Earlier versions did not store it: theirs is another severity than that of the lead."""
    return incident.course.severity_set or incident.lead[:1] not in (str(incident.severity.rank), _UNLED)


def _rank(severity: Severity) -> int:
    return severity.rank


def _opening(incident: Incident) -> str:
    more = f" (and {incident.total - 1} more)" if incident.total > 1 else ""
    return f"{incident.title}{more}"


def _already_resolved(incident: Incident) -> str:
    when = f" at {incident.resolved_at:%H:%M} UTC" if incident.resolved_at else ""
    return f"Incident {incident.id} was already resolved by {incident.resolver_name}{when}. Nothing was done."
