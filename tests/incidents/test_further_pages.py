"""Further pages: each that has to wakes somebody, once, and none stays open in PagerDuty when all is over."""

from __future__ import annotations

import pytest

from bot.core.alert import AlertBatch, Severity
from bot.core.incident import EventType, Status
from tests.house import House, alert
from tests.incidents.test_any_night import Night


@pytest.fixture
def night(house: House) -> Night:
    return Night(house)


def there(night: Night) -> list[str]:
    """How the pages that are open in PagerDuty stand."""
    night.send()
    return [one for one in night.pager.alerts.values() if one != "resolved"]


def test_a_worse_alert_wakes_who_has_acknowledged_the_page_of_a_milder_one(house: House) -> None:
    night = Night(house, frozenset({Severity.CRITICAL, Severity.ERROR}))
    night.fire("x")
    night.say("ack")
    before = there(night)
    night.fire("a")

    assert (before, there(night)) == (["acknowledged"], ["triggered"])
    assert len(night.pager.rang) == 2
    assert (house.incident().status, house.incident().owner) == (Status.ACKED, "ana")
    assert house.story()[-1].text == "It is critical now; Ana acknowledged it as error."


def test_who_has_a_warning_that_becomes_critical_is_woken_once_and_can_acknowledge_that(night: Night) -> None:
    night.fire("c")
    night.say("ack")
    night.fire("a")
    rings = there(night)
    night.say("ack")

    assert (rings, there(night)) == (["triggered"], ["acknowledged"])
    assert len(night.pager.rang) == 1


def test_a_person_who_raises_what_is_acknowledged_can_acknowledge_the_page_of_it(night: Night) -> None:
    night.fire("c")
    night.say("ack")
    night.say("bo severity critical")
    rings = there(night)
    night.say("ack")

    assert (rings, there(night)) == (["triggered"], ["acknowledged"])


def test_news_of_what_has_eased_opens_no_page_and_the_first_one_is_closed_at_the_end(night: Night) -> None:
    night.fire("a")
    night.say("ack")
    night.fire("c")
    night.end("a")
    night.fire_many()
    news = [one.type for one in night.house.story()].count(EventType.PAGED_AGAIN)
    held = there(night)
    night.end_all()

    assert (news, held, there(night)) == (1, ["acknowledged"], [])


def test_a_page_that_eased_is_still_the_one_that_is_resolved_in_the_pager(night: Night) -> None:
    night.fire("a")
    night.say("ack")
    night.fire("c")
    night.end("a")
    night.fire_many()
    night.send()
    night.there("resolve")

    assert night.house.incident().status is Status.RESOLVED


def test_a_further_page_that_died_leaves_none_open_when_all_is_over(night: Night) -> None:
    night.fire("a")
    night.say("ack")
    night.send()
    night.fail("key")
    night.fire_many()
    night.send()
    night.fail("")
    night.end_all()

    assert there(night) == []


def test_a_further_page_that_died_and_is_sent_again_is_acknowledged_if_somebody_has_it_by_now(night: Night) -> None:
    night.fire("a")
    night.say("ack")
    night.send()
    night.fail("key")
    night.fire_many()
    night.send()
    night.fail("")
    night.say("ack")
    night.send()

    assert there(night) == ["acknowledged"]


def test_what_flaps_and_was_paged_again_without_an_answer_is_not_held_without_a_page(night: Night) -> None:
    night.fire("a")
    night.say("ack")
    for _ in range(3):
        night.wait(60)
        night.end("a")
        night.wait(60)
        night.fire("a")
        for _ in range(8):
            night.wait(60)
            night.send()

    assert night.house.incident().is_flapping
    assert there(night) == ["triggered"]


def test_what_comes_and_goes_beside_a_warning_pages_once_after_an_acknowledgement(night: Night) -> None:
    """The warning fires on, so the incident does not flap."""
    night.fire("c")
    night.say("ack")
    for _ in range(5):
        night.fire("a")
        night.wait(120)
        night.end("a")
        night.wait(120)
    night.say("ack")
    night.send()
    for _ in range(5):
        night.fire("a")
        night.wait(120)
        night.end("a")
        night.wait(120)
        night.send()

    assert len(night.pager.rang) == 1


def test_an_acknowledgement_of_a_warning_does_not_cover_what_was_critical_before(night: Night) -> None:
    night.fire("a")
    night.fire("c")
    night.end("a")
    night.say("ack")
    before = there(night)
    night.wait(600)
    night.fire("a")

    assert (before, there(night)) == (["acknowledged"], ["triggered"])


def test_an_acknowledgement_on_its_way_to_the_pager_does_not_silence_what_was_given_back_there(night: Night) -> None:
    night.fire("a")
    night.send()
    night.fail("down")
    night.say("ack")
    night.there("ack")
    night.there("unack")
    night.fail("")
    night.wait(70)

    assert there(night) == ["triggered"]


def test_an_acknowledgement_in_the_pager_counts_after_the_clock_was_set_back(night: Night) -> None:
    night.fire("a")
    night.send()
    night.step_back(1)
    night.there("ack")

    assert (night.house.incident().status, there(night)) == (Status.ACKED, ["acknowledged"])


def test_pages_that_are_not_sent_are_not_counted_though_the_commit_is_written_in_parts(night: Night) -> None:
    house = night.house
    night.fire("a")
    night.say("ack")
    night.fire("c")
    night.end("a")
    parts = [
        AlertBatch(
            source="alertmanager",
            group="api",
            alerts=tuple(alert(f"Slow{n}", severity="warning") for n in range(first, first * 4)),
        )
        for first in (30, 120)
    ]
    house.hears_in_one_commit(*parts)

    assert [one.type for one in house.story()].count(EventType.PAGED_AGAIN) == 2
    assert house.incident().pages == 1
