"""The one transition function: every status, every wish."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot import incidents
from bot.incidents import Acked, Lead, Noted, Resolved, Told, Untold
from bot.model import Incident, Severity, Status, What
from bot.ports import Rejected
from tests.house import NOON

LEAD = Lead(order="2|a", title="Slow", severity=Severity.WARNING)
ACK = Acked(by="ana", name="Ana", via="slack")
RESOLVE = Resolved(by="ana", name="Ana", via="slack")
NOTE = Noted(by="ana", name="Ana", via="slack", text="hm")


def fresh(**changed: object) -> Incident:
    opened = incidents.opened(1, "api", Told(source="am", fired=1, lead=LEAD), now=NOON).incident
    return replace(opened, **changed)  # type: ignore[arg-type]


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
        (ACKED, Untold(channel="slack", said="down"), Status.ACKED, [What.UNDELIVERED]),
    ],
)
def test_every_cell_of_the_table(incident: Incident, wish: incidents.Wish, status: Status, whats: list[What]) -> None:
    change = incidents.change(incident, wish, now=NOON + timedelta(minutes=1))

    assert change.incident.status is status
    assert [event.what for event in change.events] == whats
    assert (change.incident is incident) == (whats == [])
    assert change.incident.version == incident.version + bool(whats)


def test_a_resolved_incident_refuses_an_ack_and_says_by_whom_it_was_resolved() -> None:
    with pytest.raises(Rejected, match=r"Incident 1 is already resolved by am at 12:00 UTC\. Nothing was done\."):
        incidents.change(RESOLVED, ACK, now=NOON)


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


def test_the_dedup_key_is_what_alertmanagers_own_notifier_computes() -> None:
    # printf '%s' '{}:{alertname="Hello"}' | sha256sum
    key = fresh(key='{}:{alertname="Hello"}').page_key

    assert key == "86ce998009eb599091f1451ff6f311150fbb2418984af5056b18e56fb05ed451"
