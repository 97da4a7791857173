"""Who was notified, a line for each channel: pagers first, and what a person would otherwise not know."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from bot.chatops.notified import notified_lines
from bot.core.alert import Severity
from bot.core.incident import EventType, Incident, Status
from bot.core.message import MessageKind, Subscription
from bot.store.views import DeliveryView
from tests.house import NOON

_CHAT = Subscription(
    name="slack", kinds=frozenset({MessageKind.CARD, MessageKind.LINE}), event_types=frozenset(), called="Slack"
)
_PAGER = Subscription(name="pager", kinds=frozenset({MessageKind.PAGE}), event_types=frozenset(), called="PagerDuty")
_INCIDENT = Incident(
    id=1, key="k", source="alertmanager", title="Down", severity=Severity.CRITICAL, status=Status.OPEN,
    opened_at=NOON, changed_at=NOON,
)  # fmt: skip


def row(
    number: int,
    kind: MessageKind,
    *,
    state: str = "sent",
    what: EventType | None = None,
    at: datetime = NOON,
    attempts: int = 1,
    said: str = "",
    ref: str | None = None,
    next_try_at: datetime | None = None,
) -> DeliveryView:
    channel = "pager" if kind is MessageKind.PAGE else "slack"
    return DeliveryView(
        id=number, channel=channel, kind=kind, what=what, state=state, owed_at=at, said=said, ref=ref,
        sent_at=at if state == "sent" else None, attempts=attempts, not_before=at + timedelta(minutes=1),
        next_try_at=next_try_at,
    )  # fmt: skip


def page(number: int, what: EventType, **more: object) -> DeliveryView:
    return row(number, MessageKind.PAGE, what=what, **more)  # type: ignore[arg-type]


def card(state: str = "sent", **more: object) -> DeliveryView:
    return row(1, MessageKind.CARD, state=state, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "not paged"),
        ([page(1, EventType.OPENED)], "paged 12:00"),
        ([page(1, EventType.OPENED), page(2, EventType.ACKED)], "paged 12:00"),
        ([page(1, EventType.OPENED), page(2, EventType.REOPENED)], "paged 12:00, 2 times in all"),
        ([page(1, EventType.OPENED, state="leased")], "page is being sent"),
        (
            [page(1, EventType.OPENED, state="owed", attempts=0)],
            "page not sent yet, it waits since 12:00",
        ),
        (
            [page(1, EventType.OPENED, state="owed", attempts=3, said="PagerDuty failed (503).")],
            "page NOT DELIVERED yet, next try 12:01: PagerDuty failed (503)",
        ),
        (
            [page(1, EventType.OPENED), page(2, EventType.RESOLVED, state="dead", said="no such key")],
            "paged 12:00; what came after was NOT DELIVERED, and is not tried again: no such key",
        ),
    ],
)
def test_a_pager_says_whether_it_was_reached(rows: list[DeliveryView], said: str) -> None:
    assert notified_lines(_INCIDENT, rows, [_PAGER], NOON) == (f"PagerDuty: {said}",)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "not posted"),
        ([card(ref="C1:1")], "posted, as of 12:00"),
        ([card("leased")], "card is being sent"),
        ([card("owed", ref="C1:1", attempts=0)], "posted"),
        (
            [card("owed", ref="C1:1", attempts=2, said="ratelimited")],
            "posted, but its newest state was NOT DELIVERED yet, next try 12:01: ratelimited",
        ),
        (
            [card(ref="C1:1"), row(2, MessageKind.LINE, state="dead", said="thread_not_found")],
            "posted, as of 12:00; a line was NOT DELIVERED, and is not tried again: thread_not_found",
        ),
    ],
)
def test_a_chat_says_whether_its_card_is_there_and_current(rows: list[DeliveryView], said: str) -> None:
    assert notified_lines(_INCIDENT, rows, [_CHAT], NOON) == (f"Slack: {said}",)


def test_pagers_come_first_and_a_channel_that_is_gone_comes_last() -> None:
    rows = [card(ref="C1:1"), page(2, EventType.OPENED)]

    assert notified_lines(_INCIDENT, rows, [_CHAT, _PAGER], NOON) == (
        "PagerDuty: paged 12:00",
        "Slack: posted, as of 12:00",
    )
    assert notified_lines(_INCIDENT, rows, [], NOON) == (
        "slack (no longer set up): posted, as of 12:00",
        "pager (no longer set up): paged 12:00",
    )


def test_a_long_reason_is_cut_and_stays_on_one_line() -> None:
    (line,) = notified_lines(_INCIDENT, [card("dead", said="a\nb " * 400)], [_CHAT], NOON)

    assert len(line) < 300
    assert "\n" not in line
