"""Decisions of people beside ack and resolve: reopen, assign, severity, note and page."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from bot.core.alert import Severity
from bot.core.incident import Status
from bot.core.request import Request
from bot.integrations.pagerduty.channel import PagerDuty
from bot.integrations.pagerduty.settings import PagerDutySettings
from tests.house import ANA, BO, House, alert


def test_what_is_reopened_pages_again_and_belongs_to_nobody(house: House) -> None:
    house.hears(alert())
    house.says("ack 1")
    house.says("resolve 1")
    house.drain()

    reply = house.says("reopen because the queue grows", by=BO, here=1)
    house.drain()

    assert (reply.ok, reply.text) == (True, "Incident 1 is open again: HighErrorRate")
    assert (house.incident().status, house.incident().owner) == (Status.OPEN, None)
    assert house.pagerduty.said()[-1] == "page incident.reopened: Bo reopened it: the queue grows"
    assert house.says("reopen 1").text == "Incident 1 is not resolved: it is open."


def test_an_incident_is_not_reopened_beside_a_newer_one_of_the_same_alerts(house: House) -> None:
    house.hears(alert())
    house.hears(alert(firing=False))
    house.clock.pass_by(hours=2)
    house.hears(alert(starts_at=house.clock.at))

    reply = house.says("reopen 1")

    assert (reply.ok, house.incident(1).status) == (False, Status.RESOLVED)
    assert reply.text == "Incident 2 is newer and of the same alerts. Nothing was done. Use that one."


def test_who_was_assigned_is_shown_and_has_it_only_after_their_ack(house: House) -> None:
    house.hears(alert())
    house.says("ack 1")

    reply = house.says("assign 1 @bo")

    assert reply.text == "Incident 1 is assigned to Bo; it stays open until they acknowledge it."
    assert (house.incident().status, house.incident().owner) == (Status.OPEN, "bo")
    assert house.story()[-1].text == "Ana assigned it to Bo."
    assert house.says("incidents").text == "#1 critical open, assigned to Bo: HighErrorRate (1 firing)"
    assert house.says("assign 1 bo").text == "Incident 1 is already assigned to Bo; it is open."
    assert house.says("ack 1", by=BO).text == "Incident 1 is yours: HighErrorRate"
    assert house.story()[-1].text == "Bo has it."


def test_what_was_assigned_to_one_and_taken_by_another_is_told_by_name(house: House) -> None:
    house.hears(alert())
    house.says("assign 1 bo")

    house.says("ack 1")

    assert house.story()[-1].text == "Ana takes it over from Bo."


def test_what_one_gives_back_for_another_is_told_by_name_and_no_sentence_twice(house: House) -> None:
    house.hears(alert())
    house.says("ack 1")

    house.says("unack 1 because she is on a train", by=BO)

    assert [event.text for event in house.story()[-2:]] == [
        "Nobody has it now.",
        "Bo gave back what Ana had: she is on a train. It pages again.",
    ]


def test_where_no_service_is_known_a_page_loses_none_of_its_words(house: House) -> None:
    reply = house.says("page checkout hangs")

    assert reply.text.splitlines()[0] == "Incident 1 is open and pages: checkout hangs"
    assert house.incident(1).service is None
    assert house.says("incidents").text == "#1 critical open: Ana: checkout hangs"


@pytest.mark.parametrize("whom", ["me", "ana", "@U1"])
def test_to_assign_it_to_oneself_is_to_take_it(house: House, whom: str) -> None:
    house.hears(alert())

    reply = house.says(f"assign {whom}", here=1)

    assert reply.text == "Incident 1 is yours: HighErrorRate"
    assert (house.incident().status, house.incident().owner) == (Status.ACKED, "ana")


def test_only_a_known_person_can_be_assigned(house: House) -> None:
    house.hears(alert())

    reply = house.says("assign 1 anna")

    assert reply.text == (
        "'anna' is not a known person. Did you mean `ana`? Nothing was done. Usage: assign <incident> <person>"
        " [because <text>]"
    )
    assert house.incident().owner is None


def test_a_severity_said_by_a_person_holds_until_an_alert_is_worse_than_all_before(house: House) -> None:
    house.hears(alert("Slow", severity="warning"))

    raised = house.says("severity 1 critical")
    lowered = house.says("severity info", here=1)
    house.hears(alert("Down", fingerprint="d", severity="critical"))

    assert raised.text == "Incident 1 has severity critical now; it was warning."
    assert lowered.text == "Incident 1 has severity info now; it was critical."
    assert (house.incident().severity, house.incident().worst) == (Severity.INFO, Severity.CRITICAL)
    assert house.says("severity 1 info").text == "Incident 1 already has severity info."


def test_what_was_paged_is_resolved_at_the_pager_also_after_somebody_lowered_it(house: House) -> None:
    pager = PagerDuty(PagerDutySettings(routing_key=SecretStr("k" * 32)))
    house.hears(alert("Down", severity="critical"))
    before = pager.accepts(house.incident())

    house.says("severity 1 info")

    assert (before, pager.accepts(house.incident())) == (True, True)


def test_a_page_by_hand_is_a_critical_incident_of_its_own_each_time(house: House) -> None:
    first = house.says("page prod/api the checkout hangs")
    second = house.says("page prod/api it still hangs")
    house.drain()

    assert first.text.splitlines()[0] == "Incident 1 is open and pages: the checkout hangs"
    assert second.text.splitlines()[0] == "Incident 2 is open and pages: it still hangs"
    assert len({one.page_key for one in house.incidents()}) == 2
    assert house.pagerduty.said() == [
        "page incident.opened: Ana: the checkout hangs",
        "page incident.opened: Ana: it still hangs",
    ]
    assert (house.incident().severity, house.incident().service) == (Severity.CRITICAL, "prod/api")
    assert house.says("resolve 1").text == "Incident 1 is resolved."


def test_a_page_about_an_incident_is_told_in_its_story(house: House) -> None:
    house.hears(alert())
    house.says("ack 1")

    reply = house.says("page nobody is here", here=1)

    assert reply.text.splitlines()[0] == "Incident 2 is open and pages: nobody is here (about #1 HighErrorRate)"
    assert house.story(1)[-1].text == "Ana paged about it as incident 2: nobody is here"
    assert house.incident(1).status is Status.ACKED


def test_the_same_page_delivered_twice_pages_once(house: House) -> None:
    house.says("page api it hangs", once="update:7")
    house.says("page api it hangs", once="update:7")

    assert len(house.incidents()) == 1


@pytest.mark.parametrize("words", ["reopen 1", "assign 1 bo", "severity 1 info"])
def test_what_was_said_before_it_opened_again_is_not_for_this_opening(house: House, words: str) -> None:
    house.hears(alert())

    early = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
    if words.startswith("reopen"):
        house.says("resolve 1")
    reply = house.dispatcher.handle(Request(by=ANA, text=words, channel="slack", sent_at=early))

    assert not reply.ok
    assert reply.text.startswith("That was sent at 11:00 UTC, before incident 1 opened")
