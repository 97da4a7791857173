"""The transition function: every status, every transition."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bot.core.alert import Severity
from bot.core.errors import Rejected
from bot.core.incident import EventType, Incident, Status
from bot.core.incident_marker import micros_of
from bot.incidents import course, lifecycle
from bot.incidents.transitions import (
    Acknowledge,
    AddNote,
    AlertsChanged,
    Assign,
    DeliveryFailed,
    LeadAlert,
    OpenIncident,
    PageSomeone,
    Reopen,
    Resolve,
    SetSeverity,
    Transition,
    Unacknowledge,
)
from tests.house import NOON

LEAD = LeadAlert(order="2|a", title="Slow", severity=Severity.WARNING)
ACK = Acknowledge(by="ana", name="Ana", via="slack")
RESOLVE = Resolve(by="ana", name="Ana", via="slack")
NOTE = AddNote(by="ana", name="Ana", via="slack", text="hm")

REOPEN = Reopen(by="ana", name="Ana", via="slack", because="it is back")
ASSIGN = Assign(by="ana", name="Ana", via="slack", to="bo")
WORSEN = SetSeverity(by="ana", name="Ana", via="slack", severity=Severity.CRITICAL)
EASE = SetSeverity(by="ana", name="Ana", via="slack", severity=Severity.INFO)
UNACK = Unacknowledge(by="ana", name="Ana", via="slack", page_again=True)
IN_PAGER = Unacknowledge(by="pagerduty", name="PagerDuty", via="pagerduty", because="escalated to Bo")
PAGE = PageSomeone(by="ana", name="Ana", via="slack", text="wake up", page=2)


def fresh(**changed: object) -> Incident:
    opened = lifecycle.opened_by_alerts(1, "api", AlertsChanged(source="am", fired=1, lead=LEAD), now=NOON).incident
    return replace(opened, **changed)


OPEN = fresh()
ACKED = fresh(status=Status.ACKED, owner="bo")
RESOLVED = fresh(status=Status.RESOLVED, firing=0, resolved_at=NOON, resolved_by="am")


@pytest.mark.parametrize(
    ("incident", "wish", "status", "whats"),
    [
        (OPEN, AlertsChanged(source="am", fired=1), Status.OPEN, [EventType.ALERTS_FIRED]),
        (ACKED, AlertsChanged(source="am", fired=1), Status.ACKED, [EventType.ALERTS_FIRED]),
        (RESOLVED, AlertsChanged(source="am", fired=1), Status.OPEN, [EventType.REOPENED]),
        (OPEN, AlertsChanged(source="am", ended=1), Status.RESOLVED, [EventType.RESOLVED]),
        (ACKED, AlertsChanged(source="am", ended=1), Status.RESOLVED, [EventType.RESOLVED]),
        (fresh(firing=2), AlertsChanged(source="am", ended=1), Status.OPEN, [EventType.ALERTS_ENDED]),
        (RESOLVED, AlertsChanged(source="am", already_ended=1), Status.RESOLVED, [EventType.ALERTS_FIRED]),
        (fresh(status=Status.RESOLVED), AlertsChanged(source="am", repeated=1), Status.OPEN, [EventType.REOPENED]),
        (fresh(status=Status.RESOLVED), AlertsChanged(source="am", ended=1), Status.RESOLVED, [EventType.ALERTS_ENDED]),
        (OPEN, AlertsChanged(source="am", truncated=9), Status.OPEN, [EventType.ALERTS_FIRED]),
        (OPEN, AlertsChanged(source="am"), Status.OPEN, []),
        (OPEN, ACK, Status.ACKED, [EventType.ACKED]),
        (ACKED, ACK, Status.ACKED, [EventType.ACKED]),
        (ACKED, replace(ACK, by="bo"), Status.ACKED, []),
        (ACKED, replace(ACK, by="pagerduty", human=False), Status.ACKED, []),
        (OPEN, RESOLVE, Status.RESOLVED, [EventType.RESOLVED]),
        (ACKED, RESOLVE, Status.RESOLVED, [EventType.RESOLVED]),
        (RESOLVED, RESOLVE, Status.RESOLVED, []),
        (OPEN, NOTE, Status.OPEN, [EventType.NOTED]),
        (RESOLVED, NOTE, Status.RESOLVED, [EventType.NOTED]),
        (RESOLVED, REOPEN, Status.OPEN, [EventType.REOPENED]),
        (OPEN, REOPEN, Status.OPEN, []),
        (ACKED, REOPEN, Status.ACKED, []),
        (OPEN, ASSIGN, Status.OPEN, [EventType.ASSIGNED]),
        (ACKED, replace(ASSIGN, to="cyd"), Status.OPEN, [EventType.ASSIGNED]),
        (ACKED, ASSIGN, Status.ACKED, []),
        (fresh(owner="bo"), ASSIGN, Status.OPEN, []),
        (fresh(owner="bo"), replace(ACK, by="pagerduty", human=False), Status.OPEN, []),
        (fresh(owner="bo"), ACK, Status.ACKED, [EventType.ACKED]),
        (OPEN, replace(ASSIGN, to="ana"), Status.ACKED, [EventType.ACKED]),
        (ACKED, replace(ASSIGN, to="ana"), Status.ACKED, [EventType.ACKED]),
        (OPEN, WORSEN, Status.OPEN, [EventType.SEVERITY_RAISED]),
        (ACKED, WORSEN, Status.ACKED, [EventType.SEVERITY_RAISED]),
        (OPEN, EASE, Status.OPEN, [EventType.SEVERITY_LOWERED]),
        (ACKED, EASE, Status.ACKED, [EventType.SEVERITY_LOWERED]),
        (OPEN, replace(EASE, severity=Severity.WARNING), Status.OPEN, []),
        (OPEN, PAGE, Status.OPEN, [EventType.PAGED]),
        (ACKED, PAGE, Status.ACKED, [EventType.PAGED]),
        (RESOLVED, PAGE, Status.RESOLVED, [EventType.PAGED]),
        (ACKED, NOTE, Status.ACKED, [EventType.NOTED]),
        (ACKED, UNACK, Status.OPEN, [EventType.UNACKED, EventType.PAGED_AGAIN]),
        (OPEN, UNACK, Status.OPEN, []),
        (OPEN, replace(UNACK, because="hm"), Status.OPEN, []),
        (fresh(owner="bo"), UNACK, Status.OPEN, []),
        (ACKED, IN_PAGER, Status.OPEN, [EventType.UNACKED]),
        (OPEN, IN_PAGER, Status.OPEN, [EventType.UNACKED]),
        (fresh(owner="bo"), replace(ASSIGN, in_pager=True), Status.OPEN, [EventType.ASSIGNED]),
        (ACKED, replace(ASSIGN, in_pager=True), Status.OPEN, [EventType.ASSIGNED]),
        (OPEN, replace(ASSIGN, to="ana", in_pager=True), Status.OPEN, [EventType.ASSIGNED]),
        (ACKED, DeliveryFailed(channel="slack", text="down"), Status.ACKED, [EventType.MESSAGE_UNDELIVERED]),
    ],
)
def test_every_cell_of_the_table(incident: Incident, wish: Transition, status: Status, whats: list[EventType]) -> None:
    change = lifecycle.change(incident, wish, now=NOON + timedelta(minutes=1))

    assert change.incident.status is status
    assert [event.type for event in change.events] == whats
    assert (change.incident is incident) == (whats == [])
    assert change.incident.version == incident.version + bool(whats)


@pytest.mark.parametrize("wish", [ACK, UNACK, ASSIGN, replace(ASSIGN, to="ana"), WORSEN, EASE])
def test_a_resolved_incident_refuses_what_is_for_a_living_one_and_says_by_whom_it_was_resolved(
    wish: Transition,
) -> None:
    with pytest.raises(Rejected, match=r"Incident 1 was already resolved by am at 12:00 UTC\. Nothing was done\."):
        lifecycle.change(RESOLVED, wish, now=NOON)


def test_a_reopened_incident_belongs_to_nobody() -> None:
    closed = replace(ACKED, status=Status.RESOLVED, firing=0)

    change = lifecycle.change(closed, AlertsChanged(source="am", fired=1), now=NOON)

    assert (change.incident.owner, change.incident.resolved_at, change.incident.resolved_by) == (None, None, None)


def test_severity_rises_with_a_worse_lead_and_never_sinks() -> None:
    worse = LeadAlert(order="0|b", title="Down", severity=Severity.CRITICAL)
    better = LeadAlert(order="3|a", title="Note", severity=Severity.INFO)

    raised = lifecycle.change(OPEN, AlertsChanged(source="am", fired=1, lead=worse), now=NOON)
    kept = lifecycle.change(raised.incident, AlertsChanged(source="am", fired=1, lead=better), now=NOON)

    assert [event.type for event in raised.events] == [EventType.ALERTS_FIRED, EventType.SEVERITY_RAISED]
    assert (kept.incident.severity, kept.incident.title) == (Severity.CRITICAL, "Down")


def test_a_persons_word_stands_against_alerts_that_are_no_worse_than_all_before() -> None:
    eased = lifecycle.change(fresh(), EASE, now=NOON).incident
    same = LeadAlert(order="2|0", title="Slower", severity=Severity.WARNING)
    worse = LeadAlert(order="1|b", title="Failing", severity=Severity.ERROR)

    kept = lifecycle.change(eased, AlertsChanged(source="am", fired=1, lead=same), now=NOON)
    raised = lifecycle.change(kept.incident, AlertsChanged(source="am", fired=1, lead=worse), now=NOON)

    assert (kept.incident.severity, kept.incident.title) == (Severity.INFO, "Slower")
    assert [event.type for event in kept.events] == [EventType.ALERTS_FIRED]
    assert (raised.incident.severity, raised.incident.title) == (Severity.ERROR, "Failing")
    assert [event.type for event in raised.events] == [EventType.ALERTS_FIRED, EventType.SEVERITY_RAISED]


def test_what_a_person_raised_and_lowered_again_is_not_raised_by_an_alert_as_bad_as_it_has_been() -> None:
    raised = lifecycle.change(fresh(), WORSEN, now=NOON).incident
    lowered = lifecycle.change(raised, EASE, now=NOON).incident
    as_bad = LeadAlert(order="0|b", title="Down", severity=Severity.CRITICAL)

    told = lifecycle.change(lowered, AlertsChanged(source="am", fired=1, lead=as_bad), now=NOON).incident

    assert (raised.severity, lowered.severity, told.severity) == (Severity.CRITICAL, Severity.INFO, Severity.INFO)
    assert (raised.title, told.title) == ("Slow", "Down")
    assert lowered.worst is told.worst is Severity.CRITICAL


def test_a_word_about_an_incident_without_a_named_alert_stands_too() -> None:
    unnamed = lifecycle.opened_by_alerts(1, "api", AlertsChanged(source="am", fired=1), now=NOON).incident
    eased = lifecycle.change(unnamed, EASE, now=NOON).incident

    told = lifecycle.change(eased, AlertsChanged(source="am", fired=1, lead=LEAD), now=NOON).incident

    assert (told.severity, told.worst, told.title) == (Severity.INFO, Severity.WARNING, "Slow")


def test_what_was_assigned_belongs_to_them_and_what_was_taken_from_them_says_so() -> None:
    assigned = lifecycle.change(OPEN, ASSIGN, now=NOON)
    taken = lifecycle.change(assigned.incident, ACK, now=NOON)

    assert (assigned.incident.owner, assigned.events[0].text) == ("bo", "Ana assigned it to bo.")
    assert (taken.incident.owner, taken.events[0].text) == ("ana", "Ana takes it over from bo.")


def test_what_a_person_reopens_belongs_to_nobody_and_says_why() -> None:
    back = lifecycle.change(replace(RESOLVED, owner="bo"), REOPEN, now=NOON)
    plain = lifecycle.change(RESOLVED, replace(REOPEN, because=""), now=NOON)

    assert (back.incident.owner, back.incident.resolved_at, back.incident.resolved_by) == (None, None, None)
    assert (back.events[0].text, plain.events[0].text) == ("Ana reopened it: it is back", "Ana reopened it.")


def test_what_a_person_raises_is_critical_and_has_a_key_of_its_own() -> None:
    raised = lifecycle.opened_by_person(
        7, OpenIncident(by="ana", name="Ana", via="slack", title="db", service="db"), now=NOON
    )

    one = raised.incident
    assert (one.severity, one.worst, one.status, one.source) == (
        Severity.CRITICAL,
        Severity.CRITICAL,
        Status.OPEN,
        "person",
    )
    assert (one.key, one.title, one.service, one.firing) == (f"person/7/{micros_of(NOON)}", "Ana: db", "db", 0)
    assert [(event.type, event.by, event.text) for event in raised.events] == [(EventType.OPENED, "ana", "Ana: db")]


def test_the_dedup_key_is_what_alertmanagers_own_notifier_computes() -> None:
    # printf '%s' '{}:{alertname="Hello"}' | sha256sum
    key = fresh(key='{}:{alertname="Hello"}').page_key

    assert key == "86ce998009eb599091f1451ff6f311150fbb2418984af5056b18e56fb05ed451"


def test_each_further_page_has_a_key_of_its_own_that_no_other_incident_has() -> None:
    first = fresh(key='{}:{alertname="Hello"}')
    second = course.with_further_page(first)
    later = replace(second, id=2)

    assert first.current_page_key == first.page_key == second.page_key_at(1)
    assert second.current_page_key == f"{first.page_key}-2-{first.mark}"
    assert later.current_page_key != second.current_page_key
    assert len(replace(first, course=replace(first.course, pages=10**8)).current_page_key) <= 255


@pytest.mark.parametrize(
    "key", ["", "x", "{page}-2", "{page}-02-{mark}", "{page}-1-{mark}", "{page}-3-{mark}", "{page}-2-{page}"]
)
def test_a_key_that_no_page_had_is_of_no_page(key: str) -> None:
    twice = course.with_further_page(OPEN)

    assert twice.page_number_of(twice.page_key) == 1
    assert twice.page_number_of(twice.current_page_key) == 2
    assert twice.page_number_of(key.format(page=twice.page_key, mark=twice.mark)) is None
