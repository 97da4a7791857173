"""resend: what was given up is sent again when a person asks for it, and a resolved incident pages nobody."""

from __future__ import annotations

from bot.core.audit import Code
from bot.core.errors import Refusal
from tests.house import House, alert, down


def test_a_dead_page_and_a_dead_card_are_sent_again_and_the_answer_says_what_and_where(house: House) -> None:
    house.hears(alert())
    house.says("ack 1")
    house.pagerduty.fail_with = [down("400", permanent=True)] * 2
    house.drain(house.pagerduty)
    house.slack.fail_with = [down("no_text", permanent=True)]
    house.drain(house.slack)
    for one in (house.pagerduty, house.slack):
        one.given.clear()

    reply = house.says("resend 1")
    house.drain()

    assert reply.ok
    assert reply.text == "Being sent again for incident 1: PagerDuty: 2 pages; Slack: 1 card, 2 lines."
    assert [str(one.event and one.event.type) for one in house.pagerduty.given] == ["incident.opened", "incident.acked"]
    assert house.slack.said()[0] == "post acknowledged HighErrorRate"
    assert {one.state for one in house.deliveries()} == {"sent"}


def test_it_says_that_nothing_was_given_up(house: House) -> None:
    house.hears(alert())
    house.drain(house.slack)
    sent = len(house.slack.given)

    reply = house.says("resend 1")
    house.drain(house.slack)

    assert reply.text == (
        "No message of incident 1 was given up: each has arrived or is still tried. Nothing was sent again."
    )
    assert len(house.slack.given) == sent


def test_the_page_of_a_resolved_incident_is_not_sent_and_that_is_said(house: House) -> None:
    house.hears(alert())
    house.hears(alert(firing=False))
    house.pagerduty.fail_with = [down("401", refused=Refusal.KEY)] * 2
    house.drain(house.pagerduty)
    house.pagerduty.given.clear()

    reply = house.says("resend 1")
    house.drain(house.pagerduty)

    assert reply.text == ("Nothing was sent again. Not sent to PagerDuty: 2 pages, because the incident is resolved.")
    assert house.pagerduty.given == []


def test_it_is_audited_and_wakes_the_channels(house: House) -> None:
    house.hears(alert())
    house.slack.fail_with = [down("no_text", permanent=True)]
    house.drain(house.slack)
    house.written.clear()

    house.says("resend 1")

    assert house.audited() == [Code.INTENT, Code.DONE]
    assert {name for one in house.written for name in one.channels} == {"slack"}


def test_an_incident_that_does_not_exist_is_refused(house: House) -> None:
    reply = house.says("resend 7")

    assert not reply.ok
    assert "Incident 7 does not exist. Nothing was done." in reply.text
