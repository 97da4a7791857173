"""An acknowledgement covers what was known when it was given. What is news pages again, once each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace

from bot.alerts.classification import AlertRules
from bot.core.alert import Alert, AlertBatch
from bot.core.incident import EMPTY_COURSE, Coverage, EventType, Status
from bot.incidents.transitions import CourseRules
from tests.house import BO, NOON, SEVERITIES, House, alert


def many(first: int, last: int, **more: str) -> list[Alert]:
    return [alert("Slow", fingerprint=f"slow-{n}", labels=more) for n in range(first, last)]


def delivered(*alerts: Alert) -> AlertBatch:
    return AlertBatch(source="alertmanager", group=alerts[0].group, alerts=alerts)


def pages(house: House) -> list[EventType]:
    house.drain(house.pagerduty)
    return [notice.event.type for notice in house.pagerduty.given if notice.event is not None]


def news(house: House) -> list[str]:
    return [event.text for event in house.story() if event.type is EventType.PAGED_AGAIN]


def test_two_hundred_more_alerts_than_were_acknowledged_page_again_once(house: House) -> None:
    house.hears(*many(0, 1))
    house.says("ack 1")
    house.hears(*many(0, 201))
    house.hears(*many(0, 201))
    house.hears(*many(0, 202))

    assert pages(house) == [EventType.OPENED, EventType.ACKED, EventType.PAGED_AGAIN]
    assert news(house) == ["201 alerts fire now; Ana acknowledged it when 1 did."]
    assert (house.incident().status, house.incident().owner, house.incident().pages) == (Status.ACKED, "ana", 2)


def test_the_news_is_a_line_in_every_chat(house: House) -> None:
    house.hears(*many(0, 1))
    house.says("ack 1")
    house.hears(*many(0, 9))
    house.drain()

    line = "line incident.paged_again: 9 alerts fire now; Ana acknowledged it when 1 did."
    assert house.slack.said().count(line) == house.telegram.said().count(line) == 1


@pytest.mark.parametrize(("acked", "more", "paged"), [(1, 2, 0), (1, 3, 1), (4, 3, 0), (4, 4, 1), (10, 9, 0)])
def test_growth_is_at_least_doubled_and_at_least_three_more(house: House, acked: int, more: int, paged: int) -> None:
    house.hears(*many(0, acked))
    house.says("ack 1")
    house.hears(*many(0, acked + more))

    assert len(news(house)) == paged


def test_what_has_been_told_is_covered_and_the_next_doubling_is_news_again(house: House) -> None:
    house.hears(*many(0, 1))
    house.says("ack 1")
    house.hears(*many(0, 10))
    house.hears(*many(0, 19))
    house.hears(*many(0, 20))

    assert news(house) == [
        "10 alerts fire now; Ana acknowledged it when 1 did.",
        "20 alerts fire now; it was last paged when 10 did.",
    ]


def test_alerts_that_end_and_come_back_up_to_what_was_acknowledged_are_no_news(house: House) -> None:
    house.hears(*many(0, 10))
    house.says("ack 1")
    house.hears(*[replace(one, firing=False) for one in many(1, 10)])
    house.clock.pass_by(minutes=10)
    house.hears(*[replace(one, starts_at=house.clock.at) for one in many(1, 10)])

    assert news(house) == []


def test_a_new_place_pages_again_and_a_known_one_does_not(house: House) -> None:
    house.hears(*many(0, 2, cluster="eu", namespace="pay"))
    house.says("ack 1")
    house.hears(*many(2, 3, cluster="eu", namespace="pay"))
    house.hears(*many(10, 11, cluster="us", namespace="pay"))
    house.hears(*many(11, 12, cluster="us", namespace="pay"))

    assert news(house) == ["It fires in us/pay now; Ana acknowledged it for eu/pay."]
    assert pages(house)[-1] is EventType.PAGED_AGAIN


def test_of_more_places_than_are_kept_none_is_new(house: House) -> None:
    house.hears(*[alert("Slow", fingerprint=f"slow-{n}", labels={"namespace": f"team-{n}"}) for n in range(60)])
    house.says("ack 1")
    house.hears(alert("Slow", fingerprint="new", labels={"namespace": "team-60"}))

    assert news(house) == []
    assert len((house.incident().course.covered or Coverage(at=NOON, firing=0)).places) == 50


def test_alerts_that_do_not_say_where_are_in_no_new_place(house: House) -> None:
    house.hears(*many(0, 1, cluster="eu"))
    house.says("ack 1")
    house.hears(*many(1, 2))

    assert news(house) == []


def test_several_new_places_are_named_and_counted(house: House) -> None:
    house.hears(alert("Slow", fingerprint="0", labels={"namespace": "a"}))
    house.says("ack 1")
    house.hears(*[alert("Slow", fingerprint=one, labels={"namespace": one}) for one in "bc"])
    house.hears(*[alert("Slow", fingerprint=one, labels={"namespace": one}) for one in "defgh"])

    assert news(house) == [
        "It fires in b and c now; Ana acknowledged it for a.",
        (
            "8 alerts fire now; it was last paged when 3 did."
            " It fires in d, e, f and 2 more now; it was last paged for a, b and c."
        ),
    ]


def test_a_place_is_known_even_if_its_alert_has_ended_since(house: House) -> None:
    here, there = many(0, 1, cluster="eu"), many(1, 2, cluster="us")
    house.hears(*here, *there)
    house.says("ack 1")
    house.hears(*[replace(one, firing=False) for one in there])
    house.clock.pass_by(minutes=20)
    house.hears(*[replace(one, starts_at=house.clock.at) for one in there])

    assert news(house) == []


def test_a_firing_that_began_days_after_the_ack_without_an_end_in_between_pages_again(house: House) -> None:
    house.hears(alert("Disk"))
    house.says("ack 1")
    house.clock.pass_by(days=3)
    house.hears(alert("Disk", starts_at=house.clock.at))
    house.hears(alert("Disk", starts_at=house.clock.at))

    assert news(house) == ["An alert began to fire 3 d after Ana acknowledged it."]
    assert pages(house) == [EventType.OPENED, EventType.ACKED, EventType.PAGED_AGAIN]
    assert house.incident().firing == 1


def test_a_firing_that_began_within_the_hour_is_no_news(house: House) -> None:
    house.hears(alert("Disk"))
    house.says("ack 1")
    house.clock.pass_by(hours=1)
    house.hears(alert("Disk"), alert("Cpu", starts_at=house.clock.at))

    assert news(house) == []


def test_a_firing_that_began_before_the_ack_and_is_heard_of_late_is_no_news(house: House) -> None:
    house.hears(alert("Disk"))
    house.says("ack 1")
    house.clock.pass_by(hours=5)
    house.hears(alert("Disk"), alert("Cpu"))

    assert news(house) == []


def test_a_sender_whose_clock_is_ahead_does_not_make_each_firing_a_late_one(house: House) -> None:
    house.hears(alert("Disk", starts_at=NOON + timedelta(hours=3)))
    house.says("ack 1")
    house.clock.pass_by(minutes=5)
    house.hears(alert("Cpu", starts_at=house.clock.at + timedelta(hours=3)))

    assert news(house) == []


def test_several_reasons_are_one_page(house: House) -> None:
    house.hears(*many(0, 1, cluster="eu"))
    house.says("ack 1")
    house.clock.pass_by(hours=2)
    house.hears(*[replace(one, starts_at=house.clock.at) for one in many(1, 5, cluster="us")])

    assert news(house) == [
        (
            "5 alerts fire now; Ana acknowledged it when 1 did. It fires in us now; Ana acknowledged it for eu."
            " An alert began to fire 2 h after Ana acknowledged it: Slow us."
        )
    ]
    assert pages(house).count(EventType.PAGED_AGAIN) == 1


def test_deliveries_that_share_a_commit_page_once_for_each_piece_of_news(house: House) -> None:
    house.hears(*many(0, 1))
    house.says("ack 1")
    house.hears_in_one_commit(delivered(*many(1, 4)), delivered(*many(4, 6)), delivered(*many(6, 9)))

    assert news(house) == [
        "4 alerts fire now; Ana acknowledged it when 1 did.",
        "9 alerts fire now; it was last paged when 4 did.",
    ]


def test_who_acknowledges_again_covers_what_fires_now_and_the_pager_is_told(house: House) -> None:
    house.hears(*many(0, 1))
    house.says("ack 1")
    house.hears(*many(0, 10))
    again = house.says("ack 1")
    third = house.says("ack 1")

    assert (again.ok, third.text) == (True, "Incident 1 is already yours.")
    assert house.story()[-1].text == "Ana still has it, with 10 alerts firing."
    assert pages(house) == [EventType.OPENED, EventType.ACKED, EventType.PAGED_AGAIN, EventType.ACKED]
    house.hears(*many(0, 20))
    assert news(house)[-1] == "20 alerts fire now; Ana acknowledged it when 10 did."


def test_who_takes_it_over_covers_what_fires_then(house: House) -> None:
    house.hears(*many(0, 1))
    house.says("ack 1")
    house.hears(*many(0, 3))
    house.says("ack 1", by=BO)
    house.hears(*many(0, 6))

    assert news(house) == ["6 alerts fire now; Bo acknowledged it when 3 did."]


def test_an_incident_that_nobody_has_pages_for_no_growth(house: House) -> None:
    house.hears(*many(0, 1))
    house.hears(*many(0, 100))
    house.says("ack 1")
    house.says("assign 1 bo")
    house.hears(*many(0, 300))

    assert news(house) == []


def test_an_incident_that_was_reopened_by_hand_starts_anew(house: House) -> None:
    house.hears(*many(0, 1))
    house.says("ack 1")
    house.hears(*many(0, 10))
    house.says("resolve 1")
    house.says("reopen 1 because it is not over")
    house.hears(*many(0, 40))

    assert house.incident().course.covered is None
    assert len(news(house)) == 1


def test_for_an_incident_that_an_earlier_version_acknowledged_only_what_is_new_pages(house: House) -> None:
    house.hears(*many(0, 5, cluster="eu"), *many(5, 6, cluster="us"))
    house.says("ack 1")
    with house.store.begin() as tx:  # as an earlier version stored it
        tx.put_incidents([replace(house.incident(), course=EMPTY_COURSE)])
    house.clock.pass_by(days=2)

    house.hears(*many(0, 5, cluster="eu"), *many(5, 7, cluster="us"))
    assert news(house) == []
    house.hears(*many(0, 5, cluster="eu"), *many(5, 13, cluster="us"))

    assert news(house) == ["13 alerts fire now; ana acknowledged it when 6 did."]


def test_people_go_on_to_say_what_they_like_about_an_incident_that_paged_again(house: House) -> None:
    house.hears(*many(0, 1))
    house.says("ack 1")
    house.hears(*many(0, 10))
    house.says("severity 1 warning")
    house.says("assign 1 bo")
    house.says("ack 1", by=BO)
    house.says("resolve 1", by=BO)

    assert (house.incident().status, house.incident().owner) == (Status.RESOLVED, "bo")
    assert pages(house)[-2:] == [EventType.ACKED, EventType.RESOLVED]


def test_an_incident_opened_by_a_person_is_acknowledged_as_before(house: House) -> None:
    house.says("page api the till is broken")
    house.says("ack 1")

    assert (house.incident().status, news(house)) == (Status.ACKED, [])


@pytest.fixture
def strict(store_url: str) -> Iterator[House]:
    rules = AlertRules(
        severities=SEVERITIES,
        place_labels=("rack",),
        course=CourseRules(factor=1, at_least=1, later=timedelta(minutes=5)),
    )
    one = House(store_url, rules=rules)
    yield one
    one.close()


def test_what_pages_again_can_be_set(strict: House) -> None:
    strict.hears(*many(0, 1, rack="a", cluster="eu"))
    strict.says("ack 1")
    strict.hears(*many(1, 2, rack="a", cluster="us"))
    strict.clock.pass_by(minutes=6)
    strict.hears(alert("Slow", fingerprint="slow-1", labels={"rack": "b"}, starts_at=strict.clock.at))

    assert news(strict) == [
        "2 alerts fire now; Ana acknowledged it when 1 did.",
        "It fires in b now; it was last paged for a. An alert began to fire 6 min after it was last paged: Slow.",
    ]


def test_a_clock_that_was_set_back_does_not_make_an_acknowledgement_last_longer(house: House) -> None:
    house.hears(*many(0, 1))
    house.says("ack 1")
    house.clock.pass_by(hours=-9)
    house.hears(alert("Slow", fingerprint="slow-1", starts_at=house.clock.at))
    house.clock.pass_by(hours=2)
    house.hears(alert("Slow", fingerprint="slow-2", starts_at=house.clock.at))

    assert news(house) == ["An alert began to fire 2 h after Ana acknowledged it: Slow."]
