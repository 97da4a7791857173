"""Messages reach their channel: at least once, in order, and within its limits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.channel import RateLimit
from bot.core.message import MOST_ALERTS, MessageKind
from bot.store import outbox
from tests.house import NOON, House, alert, down


def states(house: House, channel: str, number: int = 1) -> list[tuple[str, str]]:
    return [(str(one.kind), one.state) for one in house.deliveries(number) if one.channel == channel]


def test_each_delivery_says_when_it_was_sent(house: House) -> None:
    house.hears(alert())
    house.clock.pass_by(seconds=2)

    house.drain()

    for one in house.deliveries():
        assert (one.state, one.sent_at, one.owed_at) == ("sent", house.clock.at, house.clock.at - timedelta(seconds=2))


def test_only_the_latest_state_of_a_card_is_sent_however_often_it_changed(house: House) -> None:
    house.hears(alert(fingerprint="0"))
    house.drain(house.slack)

    for number in range(1, 30):
        house.hears(alert(fingerprint=str(number)))
    house.drain(house.slack)

    assert len(house.slack.given) == 2
    assert house.slack.given[-1].incident.firing == 30


def test_a_card_that_changes_while_it_is_being_sent_is_sent_again(house: House) -> None:
    house.hears(alert())
    house.slack.meanwhile.append(lambda: str(house.says("ack 1")))

    house.drain(house.slack)

    assert [one for one in house.slack.said() if one.startswith(("post", "edit"))] == [
        "post open HighErrorRate",
        "edit acknowledged HighErrorRate",
    ]


def test_pages_of_an_incident_stay_in_order_when_the_first_fails(house: House) -> None:
    house.hears(alert())
    house.hears(alert(firing=False))
    house.pagerduty.fail_with.append(down())

    house.drain(house.pagerduty)
    after_failure = list(house.pagerduty.said())
    house.clock.pass_by(seconds=2)
    house.drain(house.pagerduty)

    assert after_failure == ["page incident.opened: HighErrorRate"]
    assert house.pagerduty.said()[1:] == [
        "page incident.opened: HighErrorRate",
        "page incident.resolved: All alerts have ended.",
    ]


def test_a_failing_page_holds_up_no_other_incidents(house: House) -> None:
    house.hears(alert(fingerprint="a", group="a"))
    house.hears(alert(fingerprint="b", group="b"))
    house.pagerduty.fail_with.append(down())

    house.drain(house.pagerduty)

    assert [one.incident.key for one in house.pagerduty.given] == ["a", "b"]
    assert states(house, "pagerduty", 2) == [("page", "sent")]


def test_what_did_not_arrive_says_why_and_when_it_is_tried_again(house: House) -> None:
    house.hears(alert())
    house.slack.fail_with.append(down("Slack answered 503."))

    house.drain(house.slack)

    [card] = [one for one in house.deliveries() if one.channel == "slack"]
    assert (card.state, card.said, card.attempts) == ("owed", "Slack answered 503.", 1)
    assert card.not_before > house.clock.at


def test_a_channel_that_asks_for_quiet_gets_it_for_all_its_messages(house: House) -> None:
    house.hears(alert(fingerprint="a", group="a"))
    house.hears(alert(fingerprint="b", group="b"))
    house.slack.fail_with.append(down("429", after=timedelta(seconds=30)))

    house.drain(house.slack)
    house.clock.pass_by(seconds=29)
    house.drain(house.slack)
    while_quiet = len(house.slack.given)
    house.clock.pass_by(seconds=2)
    house.drain(house.slack)

    assert (while_quiet, len(house.slack.given)) == (1, 3)


def test_what_can_never_arrive_is_told_on_the_other_channels_once(house: House) -> None:
    house.hears(alert())
    house.slack.fail_with += [down("channel_not_found", permanent=True)] * 2

    house.drain(house.slack)
    house.says("note 1 hello")
    house.drain(house.slack, house.telegram)

    said = "The card for slack cannot be delivered: channel_not_found. `resend 1` sends it again."
    assert [event.text for event in house.story() if event.type == "message.undelivered"] == [said]
    assert f"line message.undelivered: {said}" in house.telegram.said()
    assert ("card", "dead") in states(house, "slack")


def test_lines_do_not_wait_for_ever_for_a_card_that_cannot_be_posted(house: House) -> None:
    house.hears(alert())
    house.says("ack 1")
    house.slack.fail_with.append(down("channel_not_found", permanent=True))

    house.drain(house.slack)

    assert set(states(house, "slack")) == {("card", "dead"), ("line", "dead")}


def test_a_page_that_cannot_be_delivered_is_told_in_every_chat(house: House) -> None:
    house.hears(alert())
    house.pagerduty.fail_with.append(down("invalid routing key", permanent=True))

    house.drain()
    house.drain()

    for chat in (house.slack, house.telegram):
        assert (
            "line message.undelivered: THE PAGE for pagerduty cannot be delivered: invalid routing key."
            " `resend 1` sends it again." in chat.said()
        )


def test_a_page_that_is_late_is_told_in_every_chat_within_a_minute_and_still_tried(house: House) -> None:
    house.hears(alert())
    house.drain(house.slack)
    house.pagerduty.fail_with.append(down("PagerDuty answered 500."))
    house.drain(house.pagerduty)

    house.clock.pass_by(seconds=50)
    house.watch.report_late_pages()
    house.watch.report_late_pages()
    house.drain()

    lines = [one for one in house.slack.said() if "message.undelivered" in one]
    assert lines == [
        "line message.undelivered: THE PAGE for pagerduty is late and is still tried: PagerDuty answered 500."
    ]
    assert states(house, "pagerduty") == [("page", "sent")]


def test_a_fault_of_the_channel_itself_sets_its_row_aside_after_five_tries_and_is_told(house: House) -> None:
    house.hears(alert())
    house.telegram.fail_with += [KeyError("chat")] * 5

    for _ in range(6):
        house.drain(house.telegram)
        house.clock.pass_by(seconds=2)

    assert states(house, "telegram") == [("card", "dead")]
    assert "fault in the bot: KeyError" in house.story()[-1].text


def test_a_lease_that_ran_out_is_taken_by_another_and_its_first_holder_changes_nothing(house: House) -> None:
    house.hears(alert())
    stale = house.claim(house.pagerduty, lease=timedelta(seconds=30))

    house.clock.pass_by(seconds=31)
    house.watch.release_leases()
    house.drain(house.pagerduty)
    with house.store.begin() as tx:
        late_word = outbox.mark_failed(tx, stale, "too late", again_at=house.clock.at)

    assert late_word is False
    assert states(house, "pagerduty") == [("page", "sent")]


def test_what_is_leased_is_nobody_elses(house: House) -> None:
    house.hears(alert())
    house.claim(house.pagerduty)

    house.drain(house.pagerduty)

    assert house.pagerduty.given == []


def test_a_quota_is_used_up_and_never_passed_and_the_worst_goes_first(house: House) -> None:
    house.slack.limits = (RateLimit(count=1, per=timedelta(seconds=1)), RateLimit(count=3, per=timedelta(seconds=10)))
    for number, severity in enumerate(["info", "warning", "critical", "error", "critical"]):
        house.hears(alert(fingerprint=str(number), group=str(number), severity=severity))
    sent_at: list[float] = []
    start = house.clock.at

    for _ in range(120):
        before = len(house.slack.given)
        house.drain(house.slack)
        sent_at += [(house.clock.at - start).total_seconds()] * (len(house.slack.given) - before)
        house.clock.pass_by(milliseconds=100)

    assert [one.incident.severity for one in house.slack.given] == ["critical", "critical", "error", "warning", "info"]
    assert sent_at == pytest.approx([0, 1, 2, 10, 11], abs=0.11)


def test_a_quota_survives_a_restart(house: House) -> None:
    house.slack.limits = (RateLimit(count=1, per=timedelta(seconds=1)),)
    house.hears(alert(fingerprint="a", group="a"))
    house.hears(alert(fingerprint="b", group="b"))
    house.claim(house.slack)

    with house.store.begin("slack") as tx:
        found = outbox.claim(tx, "slack", limits=house.slack.limits, lease=timedelta(seconds=30))

    assert isinstance(found, outbox.Wait)
    assert found.until == house.clock.at + timedelta(seconds=1)


def test_an_ack_overtakes_cards_that_only_count(house: House) -> None:
    house.hears(alert(fingerprint="a", group="a", severity="warning"))
    house.hears(alert(fingerprint="b", group="b", severity="warning"))
    house.drain(house.slack)
    house.hears(alert(fingerprint="a2", group="a", severity="warning"))

    house.says("ack 2")
    house.drain(house.slack)

    assert [one.incident.id for one in house.slack.given[2:]] == [2, 2, 1]


def test_a_line_waits_for_the_card_whose_thread_it_belongs_to(house: House) -> None:
    house.hears(alert())
    house.says("ack 1")
    house.slack.fail_with.append(down())

    house.drain(house.slack)
    house.clock.pass_by(seconds=2)
    house.drain(house.slack)

    assert [one.kind for one in house.slack.given] == [MessageKind.CARD, MessageKind.CARD, MessageKind.LINE]
    assert house.slack.given[-1].ref == "slack:1"


def test_a_storm_of_warnings_leaves_places_of_the_quota_for_what_is_critical(house: House) -> None:
    house.pagerduty.limits = (RateLimit(count=20, per=timedelta(seconds=60)),)
    for number in range(30):
        house.hears(alert(fingerprint=str(number), group=str(number), severity="warning"))
    house.drain(house.pagerduty)
    warned = len(house.pagerduty.given)

    house.clock.pass_by(seconds=5)
    house.hears(alert(fingerprint="down", group="down", severity="critical"))
    house.drain(house.pagerduty)

    assert (warned, len(house.pagerduty.given)) == (15, 16)
    assert house.pagerduty.given[-1].incident.key == "down"


@pytest.mark.parametrize("took_ms", [20, 3000])
def test_a_request_that_took_longer_than_the_margin_counts_in_its_quota_from_its_end(
    house: House, took_ms: int
) -> None:
    house.slack.limits = (RateLimit(count=1, per=timedelta(seconds=1)),)
    house.slack.meanwhile.append(lambda: house.clock.pass_by(milliseconds=took_ms))
    for number in range(2):
        house.hears(alert(fingerprint=str(number), group=str(number)))

    house.drain(house.slack)
    at_once = len(house.slack.given)
    house.clock.pass_by(milliseconds=990)
    house.drain(house.slack)
    too_soon = len(house.slack.given)
    house.clock.pass_by(milliseconds=10)
    house.drain(house.slack)

    assert (at_once, too_soon, len(house.slack.given)) == (1, 1, 2)


def test_the_alert_that_names_an_incident_comes_with_its_card_however_many_fire(house: House) -> None:
    warnings = [
        alert(f"Slow{n:02}", severity="warning", starts_at=NOON - timedelta(hours=1)) for n in range(MOST_ALERTS + 5)
    ]
    house.hears(*warnings, alert("Down", severity="critical"))

    house.drain()

    assert [one.labels["alertname"] for one in house.slack.given[0].alerts][:2] == ["Down", "Slow00"]
    assert len(house.slack.given[0].alerts) == MOST_ALERTS
