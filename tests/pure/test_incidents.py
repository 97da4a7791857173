"""The one transition function: every status, every wish."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bot import incidents
from bot.marking import micros_of
from bot.model import Incident, Severity, Status, What
from bot.ports import Rejected
from bot.wishes import Acked, Assigned, Lead, Noted, Paged, Raised, Reopened, Resolved, Told, Untold, Weighed, Wish
from tests.house import NOON

LEAD = Lead(order="2|a", title="Slow", severity=Severity.WARNING)
ACK = Acked(by="ana", name="Ana", via="slack")
RESOLVE = Resolved(by="ana", name="Ana", via="slack")
NOTE = Noted(by="ana", name="Ana", via="slack", text="hm")

REOPEN = Reopened(by="ana", name="Ana", via="slack", because="it is back")
ASSIGN = Assigned(by="ana", name="Ana", via="slack", to="bo")
WORSEN = Weighed(by="ana", name="Ana", via="slack", severity=Severity.CRITICAL)
EASE = Weighed(by="ana", name="Ana", via="slack", severity=Severity.INFO)
PAGE = Paged(by="ana", name="Ana", via="slack", text="wake up", page=2)


def fresh(**changed: object) -> Incident:
    opened = incidents.opened(1, "api", Told(source="am", fired=1, lead=LEAD), now=NOON).incident
    return replace(opened, **changed)


OPEN = fresh()
ACKED = fresh(status=Status.ACKED, owner="bo")
RESOLVED = fresh(status=Status.RESOLVED, firing=0, resolved_at=NOON, resolved_by="am")


@pytest.mark.parametrize(
    ("incident", "wish", "status", "whats"),
    [
        (OPEN, Told(source="am", fired=1), Status.OPEN, [What.FIRED]),
        (ACKED, Told(source="am", fired=1), Status.ACKED, [What.FIRED]),
        (RESOLVED, Told(source="am", fired=1), Status.OPEN, [What.REOPENED]),
        (OPEN, Told(source="am", ended=1), Status.RESOLVED, [What.RESOLVED]),
        (ACKED, Told(source="am", ended=1), Status.RESOLVED, [What.RESOLVED]),
        (fresh(firing=2), Told(source="am", ended=1), Status.OPEN, [What.ENDED]),
        (RESOLVED, Told(source="am", past=1), Status.RESOLVED, [What.FIRED]),
        (fresh(status=Status.RESOLVED), Told(source="am", still=1), Status.OPEN, [What.REOPENED]),
        (fresh(status=Status.RESOLVED), Told(source="am", ended=1), Status.RESOLVED, [What.ENDED]),
        (OPEN, Told(source="am", truncated=9), Status.OPEN, [What.FIRED]),
        (OPEN, Told(source="am"), Status.OPEN, []),
        (OPEN, ACK, Status.ACKED, [What.ACKED]),
        (ACKED, ACK, Status.ACKED, [What.ACKED]),
        (ACKED, replace(ACK, by="bo"), Status.ACKED, []),
        (ACKED, replace(ACK, by="pagerduty", human=False), Status.ACKED, []),
        (OPEN, RESOLVE, Status.RESOLVED, [What.RESOLVED]),
        (ACKED, RESOLVE, Status.RESOLVED, [What.RESOLVED]),
        (RESOLVED, RESOLVE, Status.RESOLVED, []),
        (OPEN, NOTE, Status.OPEN, [What.NOTED]),
        (RESOLVED, NOTE, Status.RESOLVED, [What.NOTED]),
        (RESOLVED, REOPEN, Status.OPEN, [What.REOPENED]),
        (OPEN, REOPEN, Status.OPEN, []),
        (ACKED, REOPEN, Status.ACKED, []),
        (OPEN, ASSIGN, Status.OPEN, [What.ASSIGNED]),
        (ACKED, replace(ASSIGN, to="cyd"), Status.OPEN, [What.ASSIGNED]),
        (ACKED, ASSIGN, Status.ACKED, []),
        (fresh(owner="bo"), ASSIGN, Status.OPEN, []),
        (fresh(owner="bo"), replace(ACK, by="pagerduty", human=False), Status.OPEN, []),
        (fresh(owner="bo"), ACK, Status.ACKED, [What.ACKED]),
        (OPEN, replace(ASSIGN, to="ana"), Status.ACKED, [What.ACKED]),
        (ACKED, replace(ASSIGN, to="ana"), Status.ACKED, [What.ACKED]),
        (OPEN, WORSEN, Status.OPEN, [What.WORSENED]),
        (ACKED, WORSEN, Status.ACKED, [What.WORSENED]),
        (OPEN, EASE, Status.OPEN, [What.EASED]),
        (ACKED, EASE, Status.ACKED, [What.EASED]),
        (OPEN, replace(EASE, severity=Severity.WARNING), Status.OPEN, []),
        (OPEN, PAGE, Status.OPEN, [What.PAGED]),
        (ACKED, PAGE, Status.ACKED, [What.PAGED]),
        (RESOLVED, PAGE, Status.RESOLVED, [What.PAGED]),
        (ACKED, NOTE, Status.ACKED, [What.NOTED]),
        (ACKED, Untold(channel="slack", said="down"), Status.ACKED, [What.UNDELIVERED]),
    ],
)
def test_every_cell_of_the_table(incident: Incident, wish: Wish, status: Status, whats: list[What]) -> None:
    change = incidents.change(incident, wish, now=NOON + timedelta(minutes=1))

    assert change.incident.status is status
    assert [event.what for event in change.events] == whats
    assert (change.incident is incident) == (whats == [])
    assert change.incident.version == incident.version + bool(whats)


@pytest.mark.parametrize("wish", [ACK, ASSIGN, replace(ASSIGN, to="ana"), WORSEN, EASE])
def test_a_resolved_incident_refuses_what_is_for_a_living_one_and_says_by_whom_it_was_resolved(wish: Wish) -> None:
    with pytest.raises(Rejected, match=r"Incident 1 is already resolved by am at 12:00 UTC\. Nothing was done\."):
        incidents.change(RESOLVED, wish, now=NOON)


def test_a_reopened_incident_belongs_to_nobody() -> None:
    closed = replace(ACKED, status=Status.RESOLVED, firing=0)

    change = incidents.change(closed, Told(source="am", fired=1), now=NOON)

    assert (change.incident.owner, change.incident.resolved_at, change.incident.resolved_by) == (None, None, None)


def test_severity_rises_with_a_worse_lead_and_never_sinks() -> None:
    worse = Lead(order="0|b", title="Down", severity=Severity.CRITICAL)
    better = Lead(order="3|a", title="Note", severity=Severity.INFO)

    raised = incidents.change(OPEN, Told(source="am", fired=1, lead=worse), now=NOON)
    kept = incidents.change(raised.incident, Told(source="am", fired=1, lead=better), now=NOON)

    assert [event.what for event in raised.events] == [What.FIRED, What.WORSENED]
    assert (kept.incident.severity, kept.incident.title) == (Severity.CRITICAL, "Down")


def test_a_persons_word_stands_against_alerts_that_are_no_worse_than_all_before() -> None:
    eased = incidents.change(fresh(), EASE, now=NOON).incident
    same = Lead(order="2|0", title="Slower", severity=Severity.WARNING)
    worse = Lead(order="1|b", title="Failing", severity=Severity.ERROR)

    kept = incidents.change(eased, Told(source="am", fired=1, lead=same), now=NOON)
    raised = incidents.change(kept.incident, Told(source="am", fired=1, lead=worse), now=NOON)

    assert (kept.incident.severity, kept.incident.title) == (Severity.INFO, "Slower")
    assert [event.what for event in kept.events] == [What.FIRED]
    assert (raised.incident.severity, raised.incident.title) == (Severity.ERROR, "Failing")
    assert [event.what for event in raised.events] == [What.FIRED, What.WORSENED]


def test_what_a_person_raised_and_lowered_again_is_not_raised_by_an_alert_as_bad_as_it_has_been() -> None:
    raised = incidents.change(fresh(), WORSEN, now=NOON).incident
    lowered = incidents.change(raised, EASE, now=NOON).incident
    as_bad = Lead(order="0|b", title="Down", severity=Severity.CRITICAL)

    told = incidents.change(lowered, Told(source="am", fired=1, lead=as_bad), now=NOON).incident

    assert (raised.severity, lowered.severity, told.severity) == (Severity.CRITICAL, Severity.INFO, Severity.INFO)
    assert (raised.title, told.title) == ("Slow", "Down")
    assert lowered.worst is told.worst is Severity.CRITICAL


def test_a_word_about_an_incident_without_a_named_alert_stands_too() -> None:
    unnamed = incidents.opened(1, "api", Told(source="am", fired=1), now=NOON).incident
    eased = incidents.change(unnamed, EASE, now=NOON).incident

    told = incidents.change(eased, Told(source="am", fired=1, lead=LEAD), now=NOON).incident

    assert (told.severity, told.worst, told.title) == (Severity.INFO, Severity.WARNING, "Slow")


def test_what_was_assigned_belongs_to_them_and_what_was_taken_from_them_says_so() -> None:
    assigned = incidents.change(OPEN, ASSIGN, now=NOON)
    taken = incidents.change(assigned.incident, ACK, now=NOON)

    assert (assigned.incident.owner, assigned.events[0].said) == ("bo", "Ana assigned it to bo.")
    assert (taken.incident.owner, taken.events[0].said) == ("ana", "Ana takes it over from bo.")


def test_what_a_person_reopens_belongs_to_nobody_and_says_why() -> None:
    back = incidents.change(replace(RESOLVED, owner="bo"), REOPEN, now=NOON)
    plain = incidents.change(RESOLVED, replace(REOPEN, because=""), now=NOON)

    assert (back.incident.owner, back.incident.resolved_at, back.incident.resolved_by) == (None, None, None)
    assert (back.events[0].said, plain.events[0].said) == ("Ana reopened it: it is back", "Ana reopened it.")


def test_what_a_person_raises_is_critical_and_has_a_key_of_its_own() -> None:
    raised = incidents.raised(7, Raised(by="ana", name="Ana", via="slack", title="db", service="db"), now=NOON)

    one = raised.incident
    assert (one.severity, one.worst, one.status, one.source) == (
        Severity.CRITICAL,
        Severity.CRITICAL,
        Status.OPEN,
        "person",
    )
    assert (one.key, one.title, one.service, one.firing) == (f"person/7/{micros_of(NOON)}", "db", "db", 0)
    assert [(event.what, event.by, event.said) for event in raised.events] == [(What.OPENED, "ana", "Ana: db")]


def test_the_dedup_key_is_what_alertmanagers_own_notifier_computes() -> None:
    # printf '%s' '{}:{alertname="Hello"}' | sha256sum
    key = fresh(key='{}:{alertname="Hello"}').page_key

    assert key == "86ce998009eb599091f1451ff6f311150fbb2418984af5056b18e56fb05ed451"
