"""Which channels are notified about a change."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.core.alert import Severity
from bot.core.incident import EventType, Incident, IncidentChange, Status
from bot.core.message import MessageKind, Subscription
from bot.incidents import lifecycle
from bot.incidents.transitions import (
    Acknowledge,
    AddNote,
    AlertsChanged,
    Assign,
    DeliveryFailed,
    LeadAlert,
    PageSomeone,
    Reopen,
    Resolve,
    SetSeverity,
    Transition,
    Unacknowledge,
)
from bot.notifications.routing import card_rank, messages_for
from tests.house import NOON

CHAT = Subscription(
    name="slack", kinds=frozenset({MessageKind.CARD, MessageKind.LINE}), event_types=frozenset(EventType)
)
PAGER = Subscription(
    name="pagerduty",
    kinds=frozenset({MessageKind.PAGE}),
    event_types=frozenset(
        {EventType.OPENED, EventType.REOPENED, EventType.SEVERITY_RAISED, EventType.ACKED, EventType.RESOLVED}
        | {EventType.PAGED_AGAIN}
    ),
)
LEAD = LeadAlert(order="2|a", title="Slow", severity=Severity.WARNING)
OPENED = lifecycle.opened_by_alerts(1, "api", AlertsChanged(source="am", fired=1, lead=LEAD), now=NOON)


def after(wish: Transition, incident: Incident = OPENED.incident) -> IncidentChange:
    return lifecycle.change(incident, wish, now=NOON)


def rows(change: IncidentChange, *mouths: Subscription) -> list[str]:
    return [
        f"{one.channel} {one.kind}{' echo' if one.only_behind_unsent else ''}"
        for one in messages_for(change, mouths or (CHAT, PAGER))
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (OPENED, ["slack card", "pagerduty page"]),
        (after(Acknowledge(by="ana", name="Ana", via="slack")), ["slack card", "slack line", "pagerduty page"]),
        (after(Resolve(by="ana", name="Ana", via="slack")), ["slack card", "slack line", "pagerduty page"]),
        (
            after(Acknowledge(by="ana", name="Ana", via="pagerduty")),
            ["slack card", "slack line", "pagerduty page echo"],
        ),
        (after(AddNote(by="ana", name="Ana", via="slack", text="hm")), ["slack card", "slack line"]),
        (
            after(Reopen(by="ana", name="Ana", via="slack"), replace(OPENED.incident, status=Status.RESOLVED)),
            ["slack card", "slack line", "pagerduty page"],
        ),
        (after(Assign(by="ana", name="Ana", via="slack", to="bo")), ["slack card", "slack line"]),
        (
            after(SetSeverity(by="ana", name="Ana", via="slack", severity=Severity.CRITICAL)),
            ["slack card", "slack line", "pagerduty page"],
        ),
        (after(SetSeverity(by="ana", name="Ana", via="slack", severity=Severity.INFO)), ["slack card", "slack line"]),
        (after(PageSomeone(by="ana", name="Ana", via="slack", text="up", page=2)), ["slack card", "slack line"]),
        (
            after(
                Unacknowledge(by="ana", name="Ana", via="slack", page_again=True),
                replace(OPENED.incident, status=Status.ACKED, owner="ana"),
            ),
            ["slack card", "slack line", "slack line", "pagerduty page"],
        ),
        (
            after(
                Unacknowledge(by="ana", name="Ana", via="pagerduty"),
                replace(OPENED.incident, status=Status.ACKED, owner="ana"),
            ),
            ["slack card", "slack line"],
        ),
        (after(AlertsChanged(source="am", fired=1)), ["slack card"]),
        (after(DeliveryFailed(channel="pagerduty", text="down")), ["slack card", "slack line"]),
        (after(DeliveryFailed(channel="slack", text="down")), []),
        (after(AlertsChanged(source="am")), []),
    ],
)
def test_every_row_of_the_table(change: IncidentChange, expected: list[str]) -> None:
    assert rows(change) == expected


def test_what_had_ended_before_it_was_heard_of_pages_nobody() -> None:
    change = lifecycle.opened_by_alerts(1, "api", AlertsChanged(source="am", already_ended=1, lead=LEAD), now=NOON)

    assert rows(change) == ["slack card"]


def test_a_quiet_incident_of_the_bots_own_pages_nobody_and_one_that_looks_like_it_does() -> None:
    quiet = replace(OPENED.incident, source="vakhta", key="vakhta/quiet/refused/alertmanager")

    assert rows(replace(OPENED, incident=quiet)) == ["slack card"]
    assert rows(replace(OPENED, incident=replace(quiet, source="am"))) == ["slack card", "pagerduty page"]


def test_a_pager_that_does_not_take_an_incident_is_owed_nothing_for_it() -> None:
    picky = Subscription(name="pagerduty", kinds=PAGER.kinds, event_types=PAGER.event_types, accepts=lambda _: False)

    assert rows(OPENED, picky) == []


def test_new_critical_cards_go_first_then_what_people_did_then_the_rest_by_severity_then_counts() -> None:
    queue = [
        card_rank(EventType.OPENED, Severity.CRITICAL),
        card_rank(EventType.ACKED, Severity.INFO),
        card_rank(EventType.OPENED, Severity.ERROR),
        card_rank(EventType.OPENED, Severity.WARNING),
        card_rank(EventType.OPENED, Severity.INFO),
        card_rank(EventType.ALERTS_FIRED, Severity.CRITICAL),
    ]

    assert queue == sorted(set(queue))


def test_a_warning_that_reopens_what_was_critical_triggers_only_a_pager_that_takes_warnings() -> None:
    def pager(name: str, *severities: Severity) -> Subscription:
        kinds, events = PAGER.kinds, PAGER.event_types
        return Subscription(name=name, kinds=kinds, event_types=events, accepts=lambda one: one.worst in severities)

    pagers = [pager("strict", Severity.CRITICAL), pager("broad", Severity.CRITICAL, Severity.WARNING)]
    worst = LeadAlert(order="0|a", title="Down", severity=Severity.CRITICAL)
    was = lifecycle.opened_by_alerts(1, "api", AlertsChanged(source="am", fired=1, lead=worst), now=NOON).incident
    over = after(AlertsChanged(source="am", ended=1), was)
    back = after(AlertsChanged(source="am", fired=1, lead=LEAD, leads=True), over.incident)
    over_again = after(AlertsChanged(source="am", ended=1), back.incident)

    assert back.incident.severity is Severity.WARNING
    assert rows(back, *pagers) == ["broad page"]
    assert rows(over_again, *pagers) == ["strict page", "broad page"]


@pytest.mark.parametrize("news", [EventType.OPENED, EventType.REOPENED, EventType.SEVERITY_RAISED])
def test_whatever_brings_a_critical_incident_before_people_goes_first(news: EventType) -> None:
    assert card_rank(news, Severity.CRITICAL) == 0
    assert card_rank(news, Severity.WARNING) > 0
