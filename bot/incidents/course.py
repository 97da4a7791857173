"""What follows from the course of an incident: it pages again, it fires again at once, or it flaps. Pure.

- An acknowledgement covers what was known when it was given (`Coverage`). Many more alerts, a new place, a worse
  severity, or a firing that began much later is news: the incident stays acknowledged, and somebody is paged again.
  That page then covers what it has told, so each piece of news pages once.
- An alert that fires again at once is the same trouble. Its incident opens again as it was, with its owner, and pages
  only if it still fires when `look_at` has come.
- An incident that its alerts reopen again and again flaps. It is held open, with its page and its acknowledgement,
  until its alerts have been quiet for a while: `look_at` moves with each end.

`look_at` is stored with the incident, so a tick decides anew after a crash, and what has happened meanwhile counts.
docs/decisions/0053 has the reasons.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from bot.core.alert import Severity
from bot.core.incident import EMPTY_COURSE, Coverage, EventType, Incident, Status, what_of
from bot.incidents.transitions import AlertsChanged, CourseRules
from bot.lib.text import spell_duration, spell_list

#: Of more places than these, a new one cannot be told from a known one.
_MOST_PLACES = 50
_PLACES_NAMED = 3


class Reopening(NamedTuple):
    """How an incident is opened again by its alerts."""

    type: EventType
    incident: Incident
    note: str = ""  #: for the timeline, after what fires again


def covering(incident: Incident, *, by: str, places: Iterable[str], now: datetime) -> Incident:
    """The incident with a coverage of all that is known now."""
    known = tuple(sorted(set(places)))[:_MOST_PLACES]
    before, severity = incident.course.covered, incident.severity
    if before is not None and before.paged:  # it answers that page
        severity = min(before.severity or severity, severity, key=_rank)
    covered = Coverage(at=now, firing=incident.firing, places=known, by=by, severity=severity)
    return with_course(incident, covered=covered)


def forgotten(incident: Incident) -> Incident:
    """The incident without what its alerts did before: a person has ended it, or it begins anew."""
    calmed = with_course(incident, covered=None, reopened_at=(), flapping_since=None, firings=0)
    return replace(with_course(calmed, unheard=None, fired_on=False, ended_by=""), look_at=None)


def with_further_page(incident: Incident) -> Incident:
    """The incident with one page more; the change that makes it has exactly one PAGED_AGAIN for it."""
    paged = with_course(incident, pages=incident.pages + 1)
    return replace(paged, look_at=None) if incident.page_is_due else paged


def paged_since_ack(incident: Incident, now: datetime) -> Incident:
    """The incident whose severity a person raised: that pages, so whoever has it can acknowledge it once more."""
    if incident.status is not Status.ACKED:
        return incident
    known = incident.course.covered or Coverage(at=now, firing=incident.firing, by=incident.owner or "")
    return with_course(incident, covered=replace(known, severity=incident.severity, paged=True))


def with_course(incident: Incident, **changed: object) -> Incident:
    """The incident with these fields of its course changed."""
    course = replace(incident.course, **changed)
    return replace(incident, course=EMPTY_COURSE if course == EMPTY_COURSE else course)


def reopening(before: Incident, updated: Incident, alerts: AlertsChanged, now: datetime) -> Reopening | None:
    """None: these alerts do not open it again.

    `updated` is `before` with the alerts counted.
    """
    if before.status is not Status.RESOLVED or not updated.firing or not (alerts.fired or alerts.repeated):
        return None
    open_again = replace(updated, status=Status.OPEN, resolved_at=None, resolved_by=None, look_at=None)
    if before.resolved_by != before.source:
        return Reopening(EventType.REOPENED, replace(forgotten(open_again), owner=None))
    again = _counted(open_again, alerts.rules, now)
    note = ""
    if again.is_flapping:
        until = f"nothing has fired for {spell_duration(alerts.rules.quiet)}"
        note = f" It is {again.flapping_words}. It stays open, and pages no more for each firing, until {until}."
    covered = before.course.covered
    # What flaps is held without a page only if it is somebody's, and not where nobody has answered its last page.
    had = covered is not None and not (covered.paged and again.is_flapping)
    if _is_same_trouble(before, updated, alerts) and (had or not again.is_flapping):
        kept = replace(again, status=Status.ACKED if had else Status.OPEN)
        due = None if again.is_flapping else alerts.no_page_until
        return Reopening(EventType.REFIRED, replace(kept, look_at=due), note)
    return Reopening(EventType.REOPENED, with_course(replace(again, owner=None), covered=None), note)


def _is_same_trouble(before: Incident, updated: Incident, alerts: AlertsChanged) -> bool:
    """Whether only alerts fire again that ended a moment ago, and that somebody was paged for."""
    was_paged = before.resolved_at is not None and before.resolved_at > before.opened_at
    return (
        alerts.fired == alerts.came_back > 0
        and alerts.no_page_until is not None
        and was_paged
        and updated.severity.rank >= before.severity.rank
    )


def _counted(incident: Incident, rules: CourseRules, now: datetime) -> Incident:
    """The incident with one reopening more; with enough of them lately it flaps from now on."""
    since = now - rules.within
    lately = (*(at for at in incident.course.reopened_at if since <= at <= now), now)[-max(rules.reopenings, 1) :]
    again = with_course(incident, reopened_at=lately)
    if not rules.reopenings or len(lately) < rules.reopenings:
        return again
    whole = incident.opened_at >= since
    first = incident.opened_at if whole else lately[0]
    flapping = with_course(again, flapping_since=first, firings=len(lately) + whole)
    return replace(flapping, changed_at=now)


def ended(incident: Incident, now: datetime) -> Incident:
    """The incident, resolved by its source. What it has been through counts if its alerts fire again soon."""
    calmed = with_course(incident, flapping_since=None, firings=0) if incident.is_flapping else incident
    return replace(calmed, status=Status.RESOLVED, resolved_at=now, resolved_by=incident.source, look_at=None)


def is_worse(before: Incident, updated: Incident) -> bool:
    """Whether it is worse now, as somebody has to know. What flaps between severities is no worse than its worst."""
    known = before.worst if before.is_flapping else before.severity
    return updated.severity.rank < known.rank


def followed(before: Incident, updated: Incident, alerts: AlertsChanged, now: datetime) -> tuple[Incident, str]:
    """What these alerts mean for an incident that was not resolved: how it goes on, and why to page again, or ""."""
    if before.is_flapping:
        updated = _held(before, updated, alerts, now)
    if not alerts.fired:
        return updated, ""
    if before.status is Status.ACKED:
        return _compared(before, updated, alerts, now)
    if not before.page_is_due:
        return updated, ""
    if is_worse(before, updated):  # that pages by itself
        return replace(updated, look_at=None), ""
    if alerts.fired == alerts.came_back:
        return updated, ""
    return with_further_page(updated), f"More than what came back fires now{named(alerts, updated.title)}."


def _held(before: Incident, updated: Incident, alerts: AlertsChanged, now: datetime) -> Incident:
    if updated.firing:
        again = not before.firing or (alerts.fired and alerts.ended >= before.firing)
        counted = with_course(updated, firings=updated.course.firings + 1) if again else updated
        return replace(counted, look_at=None)
    return replace(updated, look_at=now + alerts.rules.quiet) if alerts.ended else updated


def _compared(before: Incident, updated: Incident, alerts: AlertsChanged, now: datetime) -> tuple[Incident, str]:
    """The new state of an acknowledged incident, compared with what its acknowledgement covers."""
    known = before.course.covered
    if known is None:  # it was acknowledged by an earlier version: what fires now is taken as known
        known = Coverage(at=now, firing=before.firing, places=alerts.places, by=before.owner or "")
    known = replace(known, at=min(known.at, now))  # the clock may have gone back since
    reasons = [
        reason
        for reason in (
            _worse(known, before, updated),
            _growth(known, updated.firing, alerts.rules),
            _new_place(known, alerts.places),
            _later(known, alerts, now, before),
        )
        if reason
    ]
    places = known.places
    if not set(alerts.places) <= set(places):
        places = tuple(sorted({*places, *alerts.places}))[:_MOST_PLACES]
    if not reasons:
        return with_course(updated, covered=replace(known, places=places)), ""
    told = Coverage(
        at=now,
        firing=max(known.firing, updated.firing),
        places=places,
        by=known.by,
        severity=min(known.severity or before.worst, updated.severity, key=_rank),
        paged=True,
    )
    return with_course(with_further_page(updated), covered=told), " ".join(reasons)


def _worse(known: Coverage, before: Incident, updated: Incident) -> str:
    """A trigger folds into a page that is acknowledged, and wakes nobody, so what is worse needs a page of its own."""
    severity = known.severity or before.worst
    if updated.severity.rank >= severity.rank:
        return ""
    return f"It is {updated.severity} now; {_known_by(known)} as {severity}."


def _growth(known: Coverage, firing: int, rules: CourseRules) -> str:
    if firing < known.firing + rules.at_least or firing < known.firing * rules.factor:
        return ""
    when = f"when {known.firing} did" if known.firing else "when none did"
    return f"{firing} alerts fire now; {_known_by(known)} {when}."


def _new_place(known: Coverage, places: Iterable[str]) -> str:
    new = sorted(set(places) - set(known.places))
    if not new or not known.places or len(known.places) >= _MOST_PLACES:
        return ""
    return f"It fires in {_spell_places(new)} now; {_known_by(known)} for {_spell_places(known.places)}."


def _later(known: Coverage, alerts: AlertsChanged, now: datetime, before: Incident) -> str:
    """A start that lies ahead is the sender's clock, and is taken as now."""
    if before.is_flapping or alerts.began_last is None:
        return ""
    began = min(alerts.began_last, now)
    if began <= known.at + alerts.rules.later:
        return ""
    late, which = spell_duration(_minutes(began - known.at)), named(alerts, before.title)
    return f"An alert began to fire {late} after {_known_by(known)}{which}."


def _known_by(known: Coverage) -> str:
    return "it was last paged" if known.paged else f"{known.by or 'somebody'} acknowledged it"


def _spell_places(places: Iterable[str]) -> str:
    named = list(places)
    more = len(named) - _PLACES_NAMED
    return spell_list([*named[:_PLACES_NAMED], *([f"{more} more"] if more > 0 else [])], "and")


def looked_again(incident: Incident, quiet: timedelta, now: datetime) -> tuple[Incident, EventType | None, str]:
    """What follows now that `look_at` has come: the incident, and an event with its reason; None if nothing follows."""
    if incident.status is Status.RESOLVED or incident.is_flapping == bool(incident.firing):
        return replace(incident, look_at=None), None, ""
    if incident.is_flapping:
        reason = f"Nothing has fired for {spell_duration(quiet)}. It was {incident.flapping_words}."
        return ended(incident, now), EventType.RESOLVED, reason
    began = incident.course.reopened_at[-1:]
    when = f" at {began[0]:%H:%M} UTC" if began else ""
    again = with_further_page(incident)
    if incident.course.covered is not None:
        again = with_course(again, covered=replace(incident.course.covered, paged=True))
    reason = f"It had ended, fired again{when} and still fires: {count_alerts(incident.firing)}."
    return again, EventType.PAGED_AGAIN, reason


def count_alerts(number: int) -> str:
    """ "1 alert", "2 alerts"."""
    return f"{number} alert" if number == 1 else f"{number} alerts"


def _rank(severity: Severity) -> int:
    return severity.rank


def _minutes(long: timedelta) -> timedelta:
    return timedelta(minutes=long // timedelta(minutes=1))


def named(alerts: AlertsChanged, title: str) -> str:
    """The alerts by name, behind a sentence; "" where they have but the name of the incident, whose title has it."""
    return f": {', '.join(alerts.titles)}" if alerts.titles and alerts.titles != (what_of(title),) else ""
