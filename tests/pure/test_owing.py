"""Who is owed what."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot import incidents
from bot.model import Change, Incident, Kind, Severity, Status, What
from bot.owing import Mouth, card_rank, owed
from bot.wishes import Acked, Assigned, Lead, Noted, Paged, Reopened, Resolved, Told, Untold, Weighed, Wish
from tests.house import NOON

CHAT = Mouth(name="slack", kinds=frozenset({Kind.CARD, Kind.LINE}), wants=frozenset(What))
PAGER = Mouth(
    name="pagerduty",
    kinds=frozenset({Kind.PAGE}),
    wants=frozenset({What.OPENED, What.REOPENED, What.WORSENED, What.ACKED, What.RESOLVED}),
)
LEAD = Lead(order="2|a", title="Slow", severity=Severity.WARNING)
OPENED = incidents.opened(1, "api", Told(source="am", fired=1, lead=LEAD), now=NOON)


def after(wish: Wish, incident: Incident = OPENED.incident) -> Change:
    return incidents.change(incident, wish, now=NOON)


def rows(change: Change, *mouths: Mouth) -> list[str]:
    return [f"{one.channel} {one.kind}{' echo' if one.echoes else ''}" for one in owed(change, mouths or (CHAT, PAGER))]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (OPENED, ["slack card", "pagerduty page"]),
        (after(Acked(by="ana", name="Ana", via="slack")), ["slack card", "slack line", "pagerduty page"]),
        (after(Resolved(by="ana", name="Ana", via="slack")), ["slack card", "slack line", "pagerduty page"]),
        (
            after(Acked(by="ana", name="Ana", via="pagerduty")),
            ["slack card", "slack line", "pagerduty page echo"],
        ),
        (after(Noted(by="ana", name="Ana", via="slack", text="hm")), ["slack card", "slack line"]),
        (
            after(Reopened(by="ana", name="Ana", via="slack"), replace(OPENED.incident, status=Status.RESOLVED)),
            ["slack card", "slack line", "pagerduty page"],
        ),
        (after(Assigned(by="ana", name="Ana", via="slack", to="bo")), ["slack card", "slack line"]),
        (
            after(Weighed(by="ana", name="Ana", via="slack", severity=Severity.CRITICAL)),
            ["slack card", "slack line", "pagerduty page"],
        ),
        (after(Weighed(by="ana", name="Ana", via="slack", severity=Severity.INFO)), ["slack card", "slack line"]),
        (after(Paged(by="ana", name="Ana", via="slack", text="up", page=2)), ["slack card", "slack line"]),
        (after(Told(source="am", fired=1)), ["slack card"]),
        (after(Untold(channel="pagerduty", said="down")), ["slack card", "slack line"]),
        (after(Untold(channel="slack", said="down")), []),
        (after(Told(source="am")), []),
    ],
)
def test_every_row_of_the_table(change: Change, expected: list[str]) -> None:
    assert rows(change) == expected


def test_what_had_ended_before_it_was_heard_of_pages_nobody() -> None:
    change = incidents.opened(1, "api", Told(source="am", past=1, lead=LEAD), now=NOON)

    assert rows(change) == ["slack card"]


def test_a_pager_that_does_not_take_an_incident_is_owed_nothing_for_it() -> None:
    picky = Mouth(name="pagerduty", kinds=PAGER.kinds, wants=PAGER.wants, takes=lambda _: False)

    assert rows(OPENED, picky) == []


def test_new_critical_cards_go_first_then_what_people_did_then_the_rest_by_severity_then_counts() -> None:
    queue = [
        card_rank(What.OPENED, Severity.CRITICAL),
        card_rank(What.ACKED, Severity.INFO),
        card_rank(What.OPENED, Severity.ERROR),
        card_rank(What.OPENED, Severity.WARNING),
        card_rank(What.OPENED, Severity.INFO),
        card_rank(What.FIRED, Severity.CRITICAL),
    ]

    assert queue == sorted(set(queue))
