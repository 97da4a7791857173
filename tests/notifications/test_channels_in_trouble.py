"""A channel that pauses or refuses: told once, tried again, and what it missed is made good."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.errors import Refusal, Undelivered
from bot.core.incident import EventType, Status
from bot.core.message import MessageKind
from bot.notifications import channel_text, revival
from bot.notifications.revival import pages_to_send_again
from bot.store import channel_health
from bot.store.dead_messages import PageRecord
from tests.house import House, alert, down

HOURS = timedelta(hours=2, minutes=20)


def kicked() -> Undelivered:
    return down("Slack refused chat.postMessage: not_in_channel.", refused=Refusal.PLACE)


def bad_key() -> Undelivered:
    return down("PagerDuty refused the event (400): Invalid routing key", refused=Refusal.KEY)


def told(house: House, number: int = 1) -> list[str]:
    return [event.text for event in house.story(number) if event.type is EventType.MESSAGE_UNDELIVERED]


def all_told(house: House) -> list[str]:
    return [text for incident in house.incidents() for text in told(house, incident.id)]


def problem(house: House, channel: str) -> str | None:
    with house.store.read() as reading:
        pauses = channel_health.pauses(reading.sql, house.clock.at, channel)
        return channel_text.problem_text(
            channel.capitalize().replace("duty", "Duty"),
            pauses,
            channel_health.troubles(reading.sql, channel),
            house.clock.at,
        )


def restarts(house: House) -> None:
    with house.store.begin() as tx:
        channel_health.try_now(tx)
    house.watch.try_refusing_channels()


def pages(house: House) -> list[tuple[int, str]]:
    return [
        (one.incident.id, str(one.event.type).partition(".")[2])
        for one in house.pagerduty.given
        if one.event is not None
    ]


# Pauses


def test_a_page_is_tried_again_within_a_minute_whatever_pause_its_provider_asks_for(house: House) -> None:
    house.hears(alert())
    house.pagerduty.fail_with = [down("429", after=HOURS)] * 2

    for _ in range(3):
        house.drain(house.pagerduty)
        house.clock.pass_by(seconds=60)

    assert len(house.pagerduty.given) == 3
    assert [one.state for one in house.deliveries() if one.channel == "pagerduty"] == ["sent"]


def test_a_chat_gets_the_whole_pause_that_it_asks_for(house: House) -> None:
    house.hears(alert())
    house.slack.fail_with = [down("429", after=HOURS)]

    house.drain(house.slack)
    house.clock.pass_by(hours=2, minutes=19)
    house.drain(house.slack)
    early = len(house.slack.given)
    house.clock.pass_by(minutes=2)
    house.drain(house.slack)

    assert (early, len(house.slack.given)) == (1, 2)


def test_a_long_pause_is_told_once_on_the_incident_and_in_the_other_chat(house: House) -> None:
    for number in range(3):
        house.hears(alert(f"A{number}", group=f"g{number}"))
    house.slack.fail_with = [down("429", after=HOURS)] * 3

    for _ in range(3):
        house.drain()
        house.clock.pass_by(hours=2, minutes=21)

    said = "Slack asked us to wait until 14:20 UTC; messages there are late."
    assert all_told(house) == [said]
    assert [one for one in house.telegram.said() if "undelivered" in one] == [f"line message.undelivered: {said}"]


def test_the_next_pause_is_told_again_after_a_message_arrived(house: House) -> None:
    house.hears(alert())
    house.slack.fail_with = [down("429", after=HOURS)]
    house.drain(house.slack)
    house.clock.pass_by(hours=3)
    house.drain(house.slack)
    house.says("note 1 hm")
    house.slack.fail_with = [down("429", after=HOURS)]

    house.drain(house.slack)

    assert len(told(house)) == 2


def test_a_short_pause_is_no_news(house: House) -> None:
    house.hears(alert())
    house.slack.fail_with = [down("429", after=timedelta(seconds=30))]

    house.drain(house.slack)

    assert told(house) == []


def test_a_paused_pager_is_told_once_though_its_page_is_late_afterwards(house: House) -> None:
    house.hears(alert())
    house.pagerduty.fail_with = [down("429", after=HOURS)] * 5

    for _ in range(5):
        house.drain(house.pagerduty)
        house.clock.pass_by(seconds=60)
        house.watch.report_late_pages()

    assert told(house) == [
        "PagerDuty asked us to wait until 14:20 UTC; pages there are late and are tried every minute."
    ]


def test_every_message_behind_a_pause_says_when_and_why(house: House) -> None:
    house.hears(alert("A", group="a"))
    house.slack.fail_with = [down("429", after=HOURS)]
    house.drain(house.slack)
    house.hears(alert("B", group="b"))

    [behind] = [one for one in house.deliveries(2) if one.channel == "slack"]

    assert (behind.state, behind.attempts) == ("owed", 0)
    assert behind.next_try_at == house.clock.at + HOURS
    assert behind.said == "Slack asked us to wait until 14:20 UTC; messages there are late."
    assert [one.next_try_at for one in house.deliveries(2) if one.channel == "telegram"] == [None]


def test_the_health_check_tells_a_pause_until_a_message_arrives(house: House) -> None:
    house.hears(alert())
    house.pagerduty.fail_with = [down("429", after=HOURS)]
    house.drain(house.pagerduty)
    paused = problem(house, "pagerduty")
    house.clock.pass_by(seconds=61)
    house.drain(house.pagerduty)

    assert paused is not None
    assert paused.startswith("PagerDuty asked us to wait until 14:20 UTC")
    assert (problem(house, "slack"), problem(house, "pagerduty")) == (None, None)


# A chat that refuses


def test_a_chat_that_refuses_every_card_is_told_once_for_all_incidents(house: House) -> None:
    for number in range(5):
        house.hears(alert(f"A{number}", group=f"g{number}"))
    house.slack.fail_with = [kicked() for _ in range(5)]

    house.drain()
    house.drain()

    assert all_told(house) == [
        (
            "Slack takes no messages: Slack refused chat.postMessage: not_in_channel. Messages are kept, tried again"
            " every ten minutes, and sent when it takes them."
        )
    ]
    assert problem(house, "slack") == (
        "Slack takes no messages since 12:00 UTC: Slack refused chat.postMessage: not_in_channel. Tried again at 12:10"
        " UTC."
    )


def test_it_is_tried_again_after_ten_minutes_and_then_every_card_and_line_is_made_good(house: House) -> None:
    for number in range(1, 5):
        house.hears(alert(f"A{number}", group=f"g{number}", severity="warning"))
    house.hears(alert("Worst", group="worst"))
    house.says("ack 1")
    house.says("note 1 it is the cache")
    house.hears(alert("A4", group="g4", severity="warning", firing=False))
    house.slack.fail_with = [kicked() for _ in range(20)]
    house.drain(house.slack)
    house.clock.pass_by(minutes=9)
    house.watch.try_refusing_channels()
    house.drain(house.slack)
    house.slack.fail_with, house.slack.given = [], []

    house.clock.pass_by(minutes=1)
    house.watch.try_refusing_channels()
    house.drain(house.slack)

    posted = house.slack.said()
    assert posted[0] == "post open Worst"
    assert sorted(one for one in posted if one.startswith("post")) == [
        "post acknowledged A1",
        "post open A2",
        "post open A3",
        "post open Worst",
    ]
    assert [one.partition(":")[0] for one in posted if one.startswith("line")] == [
        "line incident.acked",
        "line incident.noted",
    ]
    assert problem(house, "slack") is None


def test_a_card_that_was_refused_is_tried_when_its_incident_changes(house: House) -> None:
    house.hears(alert())
    house.hears(alert("B", group="b"))
    house.slack.fail_with = [kicked(), kicked()]
    house.drain(house.slack)

    house.says("ack 1")
    house.drain(house.slack)

    assert sorted(one.partition(":")[0] for one in house.slack.said()[2:]) == [
        "line incident.acked",
        "post acknowledged HighErrorRate",
        "post open B",
    ]


def test_while_it_still_refuses_nobody_is_told_again_and_the_next_try_is_ten_minutes_later(house: House) -> None:
    house.hears(alert())
    house.slack.fail_with = [kicked() for _ in range(3)]
    house.drain(house.slack)

    for _ in range(2):
        house.clock.pass_by(minutes=10)
        house.watch.try_refusing_channels()
        house.drain(house.slack)
        house.watch.try_refusing_channels()
        house.drain(house.slack)

    assert len(house.slack.given) == 3
    assert len(told(house)) == 1
    [card] = [one for one in house.deliveries() if one.channel == "slack"]
    assert (card.state, card.next_try_at) == ("dead", house.clock.at + timedelta(minutes=10))


def test_a_closed_chat_that_still_takes_edits_is_not_thought_to_be_open(house: House) -> None:
    house.hears(alert("A", group="a"))
    house.drain(house.slack)
    house.hears(alert("B", group="b"))
    house.slack.fail_with = [kicked()]
    house.drain(house.slack)

    house.hears(alert("A2", group="a"))  # an edit, which arrives
    house.drain(house.slack)

    assert problem(house, "slack") is not None
    assert [one.state for one in house.deliveries(2) if one.channel == "slack"] == ["dead"]


def test_a_posted_card_is_corrected_though_its_incident_was_resolved_meanwhile(house: House) -> None:
    house.hears(alert("A", group="a"))
    house.hears(alert("B", group="b"))
    house.drain(house.slack)
    house.hears(alert("A", group="a", firing=False))
    house.slack.fail_with = [kicked(), kicked()]
    house.drain(house.slack)
    house.slack.given.clear()

    house.clock.pass_by(minutes=10)
    house.watch.try_refusing_channels()
    house.drain(house.slack)

    assert "edit resolved A" in house.slack.said()


# A key that is refused


def test_pages_that_died_by_a_refused_key_are_sent_in_order_once_the_key_works(house: House) -> None:
    house.hears(alert("A", group="a", severity="warning"))
    house.hears(alert("B", group="b"))
    house.says("ack 2")
    house.pagerduty.fail_with = [bad_key() for _ in range(3)]
    house.drain(house.pagerduty)
    house.pagerduty.given.clear()

    restarts(house)
    house.drain(house.pagerduty)

    assert pages(house) == [(2, "opened"), (2, "acked"), (1, "opened")]


def test_a_refused_page_is_told_for_each_incident_but_only_once(house: House) -> None:
    house.hears(alert("A", group="a"))
    house.hears(alert("B", group="b"))
    house.pagerduty.fail_with = [bad_key() for _ in range(6)]
    house.drain(house.pagerduty)
    restarts(house)
    house.drain(house.pagerduty)

    assert [len(told(house, number)) for number in (1, 2)] == [1, 1]
    said = "PagerDuty refused the event (400): Invalid routing key. It is tried every minute."
    assert told(house) == [f"THE PAGE for pagerduty cannot be delivered: {said}"]


def test_the_page_of_an_incident_that_was_resolved_meanwhile_is_never_sent(house: House) -> None:
    house.hears(alert("A", group="a"))
    house.hears(alert("B", group="b"))
    house.hears(alert("A", group="a", firing=False))
    house.pagerduty.fail_with = [bad_key() for _ in range(3)]
    house.drain(house.pagerduty)
    house.pagerduty.given.clear()

    restarts(house)
    house.drain(house.pagerduty)
    house.clock.pass_by(hours=1)
    house.watch.try_refusing_channels()
    house.drain(house.pagerduty)

    assert pages(house) == [(2, "opened")]


def test_the_first_page_that_arrives_brings_those_that_were_refused_before(house: House) -> None:
    house.hears(alert("A", group="a"))
    house.pagerduty.fail_with = [bad_key()]
    house.drain(house.pagerduty)
    house.hears(alert("B", group="b"))

    house.drain(house.pagerduty)

    assert pages(house)[1:] == [(2, "opened"), (1, "opened")]
    assert problem(house, "pagerduty") is None


def test_a_refused_page_is_tried_every_minute(house: House) -> None:
    house.hears(alert())
    house.pagerduty.fail_with = [bad_key() for _ in range(2)]
    house.drain(house.pagerduty)

    for _ in range(2):
        house.clock.pass_by(minutes=1)
        house.watch.try_refusing_channels()
        house.drain(house.pagerduty)

    assert pages(house) == [(1, "opened")] * 3
    assert [one.state for one in house.deliveries() if one.channel == "pagerduty"] == ["sent"]


def test_many_incidents_are_made_good_a_few_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revival, "_AT_ONCE", 3)
    for number in range(10):
        house.hears(alert(f"A{number}", group=f"g{number}"))
    house.telegram.fail_with = [down("chat not found", refused=Refusal.PLACE) for _ in range(10)]
    house.drain(house.telegram)
    house.telegram.given.clear()

    restarts(house)
    house.drain(house.telegram)

    assert len({one.incident.id for one in house.telegram.given if one.kind is MessageKind.CARD}) == 10
    assert problem(house, "telegram") is None


# Which pages are wanted

OPENED, ACKED, RESOLVED = EventType.OPENED, EventType.ACKED, EventType.RESOLVED
REOPENED, RAISED = EventType.REOPENED, EventType.SEVERITY_RAISED


@pytest.mark.parametrize(
    ("given", "status", "wanted"),
    [
        pytest.param([(OPENED, "dead")], Status.OPEN, [1], id="a trigger"),
        pytest.param([(OPENED, "dead"), (ACKED, "dead")], Status.ACKED, [1, 2], id="a trigger and its ack"),
        pytest.param(
            [(OPENED, "dead"), (ACKED, "sent")], Status.ACKED, [1, 2], id="an ack that was lost is sent again"
        ),
        pytest.param([(OPENED, "sent"), (ACKED, "dead")], Status.ACKED, [2], id="an ack alone"),
        pytest.param([(OPENED, "dead"), (ACKED, "dead")], Status.OPEN, [1], id="an ack that no longer holds"),
        pytest.param(
            [(OPENED, "dead"), (ACKED, "sent"), (RAISED, "sent")], Status.ACKED, [2], id="an ack that came too early"
        ),
        pytest.param([(OPENED, "dead"), (RAISED, "sent")], Status.OPEN, [], id="a later trigger has arrived"),
        pytest.param([(OPENED, "sent"), (RAISED, "dead")], Status.OPEN, [2], id="only the later one died"),
        pytest.param(
            [(OPENED, "sent"), (ACKED, "sent"), (RAISED, "dead")], Status.ACKED, [3], id="raised after an ack"
        ),
        pytest.param([(OPENED, "dead"), (RESOLVED, "dead")], Status.RESOLVED, [], id="resolved, never triggered"),
        pytest.param(
            [(OPENED, "sent"), (RESOLVED, "dead")], Status.RESOLVED, [2], id="an alert that is still open there"
        ),
        pytest.param(
            [(OPENED, "dead"), (RESOLVED, "dead"), (REOPENED, "dead")],
            Status.OPEN,
            [3],
            id="only since it was reopened",
        ),
        pytest.param([(OPENED, "sent")], Status.OPEN, [], id="nothing is dead"),
        pytest.param([], Status.OPEN, [], id="no pages"),
    ],
)
def test_only_the_pages_that_the_present_status_wants_are_sent_again(
    given: list[tuple[EventType, str]], status: Status, wanted: list[int]
) -> None:
    records = [PageRecord(id=number, event_type=what, state=state) for number, (what, state) in enumerate(given, 1)]

    assert pages_to_send_again(records, status, newest=True) == wanted


def test_a_resolve_is_not_sent_again_where_it_would_close_the_alert_of_a_later_incident() -> None:
    records = [PageRecord(id=1, event_type=OPENED, state="sent"), PageRecord(id=2, event_type=RESOLVED, state="dead")]

    assert pages_to_send_again(records, Status.RESOLVED, newest=False) == []


def test_a_pause_of_no_time_is_no_reason_to_try_without_end(house: House) -> None:
    house.hears(alert())
    house.slack.fail_with = [down("429", after=timedelta(0))] * 5

    house.drain(house.slack)

    assert len(house.slack.given) == 1
