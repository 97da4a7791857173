"""A whole night between the bot and PagerDuty: pages go out, what people do there comes back, and echoes end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from bot.core.incident import EventType, Status
from bot.integrations.pagerduty.channel import PagerDuty
from tests.fakes.pagerduty import API_TOKEN, FakePagerDuty, PdAlert
from tests.house import ACCOUNTS, ANA, BO, House, alert
from tests.integrations.pagerduty.bench import section

BOB = ("PBOB", "Bob")  #: has an account in PagerDuty and is not listed here


class Night:
    """The House with the real channel in place of its fake pager."""

    def __init__(self, house: House, fake: FakePagerDuty) -> None:
        self.house, self.fake = house, fake
        house.settle({**ACCOUNTS, ("pagerduty", "PANA"): ANA, ("pagerduty", "PBO"): BO})
        self.pager = PagerDuty(section(fake, api_token=SecretStr(API_TOKEN)))
        self.pager.start(house.dispatcher)

    def fires(self, *names: str, group: str = "api") -> None:
        self.house.hears(*[alert(name, group=group) for name in names or ("HighErrorRate",)])
        self.sends()

    def ends(self, *names: str, group: str = "api") -> None:
        at = self.house.clock()
        gone = [alert(name, group=group, firing=False, ends_at=at) for name in names or ("HighErrorRate",)]
        self.house.hears(*gone)
        self.sends()

    def sends(self) -> None:
        self.house.drain(self.house.slack, self.pager)

    def says(self, words: str) -> None:
        assert self.house.says(words).ok
        self.sends()

    def there(self, what: str, key: str = "", **more: Any) -> str:
        """Let it happen in PagerDuty now; returns what the webhook was answered."""
        more.setdefault("occurred_at", self.house.clock())
        sent = self.fake.webhook(f"incident.{what}", key or self.key(), **more)
        first, second = (self.pager.receive(*sent) for _ in range(2))  # PagerDuty tells at least once
        assert (first.status, second.status) == (202, 202)
        self.sends()
        return first.body.decode()

    def key(self, number: int = 1) -> str:
        return self.house.incident(number).current_page_key

    def page(self, number: int = 1) -> PdAlert:
        return self.fake.alert(self.key(number))

    def told(self, number: int = 1) -> list[str]:
        """The lines in Slack."""
        given = [one for one in self.house.slack.given if one.incident.id == number and one.event]
        return [one.event.text for one in given if one.event]

    def standing(self, number: int = 1) -> tuple[Status, str | None]:
        incident = self.house.incident(number)
        return incident.status, incident.owner


@pytest.fixture
def night(house: House, fake: FakePagerDuty) -> Iterator[Night]:
    made = Night(house, fake)
    yield made
    made.pager.stop()


def test_an_acknowledgement_that_times_out_there_leaves_nobody(night: Night) -> None:
    night.fires()
    night.there("acknowledged")
    night.house.clock.pass_by(minutes=30)

    night.there("unacknowledged", agent=None)

    assert night.standing() == (Status.OPEN, None)
    assert night.told() == [
        "Ana has it.",
        "Nobody has it now. The acknowledgement in PagerDuty timed out.",
    ]
    assert [told.action for told in night.fake.story] == ["trigger"]  # PagerDuty pages by itself again


def test_whoever_is_known_in_pagerduty_alone_is_called_by_name(night: Night) -> None:
    night.fires()
    night.there("acknowledged", agent=BOB)

    assert night.house.says("incidents").text == "#1 critical acknowledged, Bob has it: HighErrorRate (1 firing)"
    night.there("resolved", agent=BOB)
    assert night.house.says("resolve 1").text == "Incident 1 was already resolved by Bob."


def test_an_acknowledgement_that_was_given_here_since_stands(night: Night) -> None:
    night.fires()
    night.there("acknowledged", agent=BOB)
    before = night.house.clock()
    night.house.clock.pass_by(seconds=5)
    night.says("ack 1")

    night.there("unacknowledged", agent=None, occurred_at=before)
    night.there("escalated", agent=None, occurred_at=before, to=(BOB,))

    assert night.standing() == (Status.ACKED, "ana")
    assert night.told()[-1] == ("PagerDuty: escalated in PagerDuty to Bob, because nobody acknowledged it in time")


def test_whoever_gives_an_incident_back_in_the_chat_has_somebody_paged(night: Night) -> None:
    night.fires()
    night.says("ack 1")

    night.says("unack 1 because my train leaves")

    first = night.house.incident().page_key_at(1)
    assert night.standing() == (Status.OPEN, None)
    assert night.house.incident().pages == 2
    assert [(told.became, told.key == first) for told in night.fake.story] == [
        ("opened", True),
        ("acknowledged", True),
        ("opened", False),
        ("resolved", True),
    ]
    assert night.page().status == "triggered"
    assert night.page().summary == "HighErrorRate. Ana gave it back: my train leaves. It pages again."
    assert night.told()[1:] == ["Nobody has it now.", "Ana gave it back: my train leaves. It pages again."]


def test_an_incident_that_nobody_has_is_given_back_by_nobody(night: Night) -> None:
    night.fires()

    night.house.says("unack 1 because hm")
    reply = night.house.says("unack 1")

    assert reply.text == "Nobody has acknowledged incident 1. Nothing was done."
    assert len(night.house.story()) == 1


def test_a_reassignment_there_shows_who_has_not_acknowledged_it_yet(night: Night) -> None:
    night.fires()
    night.there("acknowledged")

    night.there("reassigned", to=(("PBO", "Bo Berg"),))

    assert night.standing() == (Status.OPEN, "bo")
    assert night.told()[-1] == "Ana: reassigned in PagerDuty to Bo."


def test_whoever_assigns_it_to_themselves_there_is_paged_and_has_not_acknowledged_it(night: Night) -> None:
    night.fires()

    night.there("reassigned", to=(("PANA", "Ana"),))

    assert night.standing() == (Status.OPEN, "ana")


def test_an_escalation_to_somebody_who_is_not_listed_is_told_by_name(night: Night) -> None:
    night.fires()

    night.there("escalated", agent=None, to=(BOB, ("PBO", "Bo Berg")))

    assert night.standing() == (Status.OPEN, None)
    assert night.told() == [
        "Nobody has it now. Escalated in PagerDuty to Bob, Bo, because nobody acknowledged it in time."
    ]


def test_the_same_escalation_again_is_told_again(night: Night) -> None:
    night.fires()
    for _ in range(2):
        night.house.clock.pass_by(minutes=30)
        night.there("escalated", agent=None, to=(("PBO", "Bo Berg"),))

    assert night.told() == ["Escalated in PagerDuty to Bo, because nobody acknowledged it in time."] * 2


def test_a_delegation_names_the_policy(night: Night) -> None:
    night.fires()

    night.there("delegated", agent=BOB, to=(("PBO", "Bo Berg"),))

    assert night.told() == ["Bob: delegated in PagerDuty to the escalation policy Default (Bo)."]


def test_a_priority_is_a_line_and_no_severity(night: Night) -> None:
    night.fires()

    night.there("priority_updated", priority="P1")
    night.there("priority_updated", agent=BOB)

    assert night.told() == ["Ana: set the priority in PagerDuty to P1", "Bob: removed PagerDuty's priority"]
    assert night.standing() == (Status.OPEN, None)


def test_what_is_reopened_there_is_open_here(night: Night) -> None:
    night.fires()
    night.there("resolved")
    night.house.clock.pass_by(minutes=2)

    night.there("reopened")

    assert night.standing() == (Status.OPEN, None)
    assert night.told()[-1] == "Ana reopened it: reopened in PagerDuty"
    assert [told.action for told in night.fake.story] == ["trigger"]


@pytest.mark.parametrize("agent", [("PANA", "Ana"), BOB])
def test_a_resolution_there_while_alerts_fire_is_told_and_pages_again_with_the_next_repeat(
    night: Night, agent: tuple[str, str]
) -> None:
    night.fires("Disk", "Queue")

    night.there("resolved", agent=agent)
    night.house.clock.pass_by(hours=4)
    night.fires("Disk", "Queue")

    assert night.told()[0] == (
        f"{agent[1]} resolved it in the pager while 2 alerts still fired. It opens again, and pages, when they are sent"
        " again."
    )
    assert night.standing() == (Status.OPEN, None)
    assert [told.became for told in night.fake.story] == ["opened", "opened_again"]
    assert night.page().summary == (f"Disk (2 firing). 2 alerts still firing after it was resolved by {agent[1]}.")


def test_the_first_repeat_after_a_person_resolved_it_there_pages_again_however_soon_it_comes(night: Night) -> None:
    night.fires("Disk")
    night.house.clock.pass_by(minutes=2)

    night.there("resolved", agent=BOB)
    night.house.clock.pass_by(seconds=20)
    night.fires("Disk")
    night.there("resolved", agent=BOB)
    night.ends("Disk")
    night.fires("Disk")

    assert [told.became for told in night.fake.story] == ["opened", "opened_again"]
    assert night.standing() == (Status.RESOLVED, None)


def test_a_repeat_right_after_a_timer_there_resolved_it_may_be_a_copy(night: Night) -> None:
    night.fires("Disk")
    night.house.clock.pass_by(hours=4)

    night.there("resolved", agent=None)
    night.house.clock.pass_by(seconds=20)
    night.fires("Disk")

    assert [told.became for told in night.fake.story] == ["opened"]


def test_the_page_of_a_person_says_where_and_counts_no_alerts(night: Night) -> None:
    night.house.hears(alert("Disk", labels={"service": "checkout"}))

    night.says("page checkout it hangs")
    night.says("page anyone the office has no network")
    night.says("page 1 please join")

    assert [night.page(number).summary for number in (2, 3, 4)] == [
        "checkout: it hangs",
        "the office has no network",
        "please join (about #1 Disk checkout)",
    ]


def test_a_resolution_by_pagerdutys_own_timer_is_told_and_pages_again_as_well(night: Night) -> None:
    night.fires()
    night.house.clock.pass_by(hours=4)

    night.there("resolved", agent=None)
    night.house.clock.pass_by(hours=1)
    night.fires()

    assert night.told()[0].startswith("PagerDuty resolved it by itself while 1 alert still fired.")
    assert [told.became for told in night.fake.story] == ["opened", "opened_again"]
    assert "after it was resolved by PagerDuty" in night.page().summary


def test_a_resolution_by_no_person_right_after_a_page_is_an_echo(night: Night) -> None:
    night.fires()
    night.ends()
    night.house.clock.pass_by(seconds=20)
    night.house.hears(alert(starts_at=night.house.clock()))
    night.sends()

    answer = night.there("resolved", agent=None, occurred_at=night.house.clock() - timedelta(seconds=15))

    assert answer == "taken, without effect"
    assert night.standing() == (Status.OPEN, None)


def test_a_merge_is_no_end(night: Night) -> None:
    night.fires("Disk")
    night.fires("Queue", group="queue")

    answer = night.there("resolved", night.key(1), merged_into=night.key(2))

    assert answer == "taken"
    assert night.standing(1) == (Status.OPEN, None)
    (line,) = night.told(1)
    assert line == (
        "Ana: merged the page in PagerDuty into Queue (PDINC2). This incident is not resolved by that: its"
        " page goes on there."
    )


def test_what_happens_to_the_incident_that_goes_on_happens_to_the_merged_one(night: Night) -> None:
    night.fires("Disk")
    night.fires("Queue", group="queue")
    night.there("resolved", night.key(1), merged_into=night.key(2))

    night.there("acknowledged", night.key(2))
    acknowledged = [night.standing(number) for number in (1, 2)]
    night.there("resolved", night.key(2), agent=BOB)

    assert acknowledged == [(Status.ACKED, "ana")] * 2
    assert [night.standing(number)[0] for number in (1, 2)] == [Status.RESOLVED] * 2
    assert night.house.incident(1).resolved_by == "pagerduty:PBOB"


def test_while_pagerdutys_api_is_down_the_own_incident_is_done_and_the_rest_comes_again(night: Night) -> None:
    night.fires("Disk")
    night.fires("Queue", group="queue")
    night.there("resolved", night.key(1), merged_into=night.key(2))
    sent = night.fake.webhook("incident.acknowledged", night.key(2), occurred_at=night.house.clock())
    night.fake.answer_next(path="/alerts", status=500)

    with pytest.raises(Exception, match="Send it again"):
        night.pager.receive(*sent)
    first = [night.standing(number)[0] for number in (1, 2)]
    night.pager.receive(*sent)

    assert first == [Status.OPEN, Status.ACKED]
    assert [night.standing(number)[0] for number in (1, 2)] == [Status.ACKED] * 2
    assert [one.type for one in night.house.story(2)].count(EventType.ACKED) == 1


def again(night: Night) -> str:
    """Ana takes it and gives it back, so that page 2 is open; returns the key of page 1."""
    night.fires()
    night.says("ack 1")
    night.says("unack 1")
    assert night.house.incident().pages == 2
    return night.house.incident().page_key_at(1)


def test_what_follows_goes_to_the_current_page(night: Night) -> None:
    first = again(night)
    night.says("ack 1")
    night.ends()

    after = [(told.action, told.key == first) for told in night.fake.story][4:]
    assert after == [("acknowledge", False), ("resolve", False)]
    assert {one.status for one in night.fake.alerts} == {"resolved"}


def test_nothing_that_resolves_an_older_page_resolves_the_incident(night: Night) -> None:
    first = again(night)
    night.house.clock.pass_by(hours=2)

    answers = [night.there("resolved", first, agent=agent) for agent in (None, ("PANA", "Ana"))]
    answers.append(night.there("resolved", first, by_integration=True))

    assert answers == ["taken, without effect", "taken, without effect", "ignored: echo"]
    assert night.standing() == (Status.OPEN, None)


def test_an_acknowledgement_of_an_older_page_counts_and_silences_the_current_one(night: Night) -> None:
    first = again(night)

    night.there("acknowledged", first, agent=BOB)

    assert night.standing() == (Status.ACKED, "pagerduty:PBOB")
    assert night.page().status == "acknowledged"


def test_no_person_acknowledges_an_older_page(night: Night) -> None:
    first = again(night)

    assert night.there("acknowledged", first, agent=None) == "taken, without effect"
    assert night.standing() == (Status.OPEN, None)


def test_a_new_page_is_found_by_its_key_and_that_of_another_incident_is_not(night: Night) -> None:
    again(night)
    gateway, key = night.house.dispatcher, night.key()

    assert gateway.incident_paged_as(key) == 1
    assert gateway.incident_paged_as(key[:-1] + ("0" if key[-1] != "0" else "1")) is None
    assert gateway.incident_paged_as(key.replace("-2-", "-3-")) is None
    assert len(key) < 255


def test_pages_of_a_night_in_which_pagerduty_was_down_belong_to_their_own_page(night: Night) -> None:
    """Sent under the newest key, the first trigger would open it, the ack would silence it, and page 2 wake nobody."""
    night.house.hears(alert())
    night.house.says("ack 1")
    night.house.says("unack 1")

    night.sends()

    first = night.house.incident().page_key_at(1)
    assert [(told.became, told.key == first) for told in night.fake.story] == [
        ("opened", True),
        ("acknowledged", True),
        ("opened", False),
        ("resolved", True),
    ]


@pytest.mark.parametrize("trouble", [{"reset": True}, {"status": 503}, {"reset": True, "after_effect": True}])
def test_a_further_page_whose_answer_is_lost_opens_once(night: Night, trouble: dict[str, Any]) -> None:
    night.fires()
    night.says("ack 1")
    night.house.says("unack 1")
    night.fake.answer_next(**trouble)

    night.sends()
    night.house.clock.pass_by(seconds=5)
    night.sends()

    assert [one.status for one in night.fake.alerts] == ["resolved", "triggered"]
    assert night.fake.became().count("opened") == 2


def test_an_older_page_that_is_not_closed_at_once_is_closed_later(night: Night) -> None:
    night.fires()
    night.says("ack 1")
    night.house.says("unack 1")
    night.fake.refusals["resolve"] = 503

    night.sends()
    at_first = [one.status for one in night.fake.alerts]
    why = night.house.deliveries()[-1].said
    night.house.clock.pass_by(seconds=5)
    night.sends()

    assert at_first == ["acknowledged", "triggered"]
    assert why == "The new page is open. The one before it could not be closed: PagerDuty failed (503): Not now"
    assert night.fake.became() == ["opened", "acknowledged", "opened", "folded", "resolved"]


def test_an_older_page_that_can_never_be_closed_holds_up_nothing(
    night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    night.fires()
    night.says("ack 1")
    night.house.says("unack 1")
    night.fake.refusals["resolve"] = 400

    night.sends()
    night.says("ack 1")

    assert [one.status for one in night.fake.alerts] == ["acknowledged", "acknowledged"]
    assert "The one before it could not be closed" in caplog.text


def cycles(night: Night, count: int) -> None:
    house = night.house
    for _ in range(count):
        at = house.clock()
        for firing in (True, False):
            house.hears(alert(starts_at=at, firing=firing, ends_at=None if firing else house.clock()))
            for _ in range(12):
                house.clock.pass_by(seconds=5)
                house.watch.look_at_due_incidents()
            night.sends()


def test_thirty_cycles_are_one_page_after_the_first_firing_and_it_is_resolved_once(night: Night) -> None:
    cycles(night, 30)
    held = [one.action for one in night.fake.story]
    night.house.clock.pass_by(minutes=20)
    night.house.watch.look_at_due_incidents()
    night.sends()

    assert len(night.house.incidents()) == 1
    assert held == ["trigger", "resolve", "resolve", "resolve", "trigger"]
    assert [one.action for one in night.fake.story] == [*held, "resolve"]
    assert {one.key for one in night.fake.story} == {night.house.incident().page_key}


def test_growth_after_the_acknowledgement_is_a_page_of_its_own_in_place_of_the_first(night: Night) -> None:
    night.fires("A")
    night.says("ack 1")
    night.fires("A", "B", "C", "D")
    first, second = night.house.incident().page_key, night.key()
    between = [night.fake.alert(first).status, night.fake.alert(second).status]
    night.there("acknowledged")
    acked = night.fake.alert(second).status
    night.ends("A", "B", "C", "D")

    assert first != second
    assert (between, acked) == (["resolved", "triggered"], "acknowledged")
    assert night.told()[-2:] == ["Ana still has it, with 4 alerts firing.", "All alerts have ended."]
    assert [night.fake.alert(first).status, night.fake.alert(second).status] == ["resolved", "resolved"]
