"""Regressions: alerts that were nearly lost, each as it was found."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import timedelta

from bot.alerts.intake import IntakeResult
from bot.core.alert import Alert, AlertBatch
from bot.core.incident import EventType, Status
from bot.core.message import Notification
from tests.house import NOON, House, alert, into


def of(*alerts: Alert) -> AlertBatch:
    return AlertBatch(source="alertmanager", group=alerts[0].group, alerts=alerts)


def paged(house: House, key: str) -> list[EventType]:
    return [what(notice) for notice in house.pagerduty.given if notice.incident.key == key]


def what(notice: Notification) -> EventType:
    assert notice.event is not None
    return notice.event.type


def test_a_group_that_opens_ends_and_reopens_in_one_commit_is_paged(house: House) -> None:
    house.hears_in_one_commit(of(alert("A")), of(alert("A", firing=False)), of(alert("B")))
    house.drain()

    assert paged(house, "api") == [EventType.OPENED, EventType.RESOLVED, EventType.REOPENED]


def test_what_fires_and_ends_in_one_commit_pages_as_in_two(house: House) -> None:
    house.hears_in_one_commit(of(alert("A")), of(alert("A", firing=False)))
    house.hears(alert("A", group="z", fingerprint="z"))
    house.hears(alert("A", group="z", fingerprint="z", firing=False))
    house.drain()

    assert paged(house, "api") == paged(house, "z") == [EventType.OPENED, EventType.RESOLVED]


def test_a_resolved_incident_is_not_triggered_by_a_worse_alert_that_is_over(house: House) -> None:
    house.hears(alert("A", severity="warning"))
    house.hears(alert("A", severity="warning", firing=False))
    house.hears(alert("B", firing=False))
    house.hears(alert("B"))
    house.drain()

    assert house.incident().status is Status.RESOLVED
    assert paged(house, "api")[-1] is EventType.RESOLVED


def test_a_firing_with_an_earlier_start_long_after_the_end_is_not_lost(house: House) -> None:
    """The sender's clock was an hour ahead and has been put right."""
    house.hears(alert(starts_at=NOON + timedelta(hours=1)))
    house.clock.pass_by(minutes=5)
    house.hears(alert(starts_at=NOON + timedelta(hours=1), firing=False))
    house.clock.pass_by(minutes=20)
    house.hears(alert(starts_at=house.clock.at))
    house.clock.pass_by(minutes=5)
    house.hears(alert(starts_at=NOON + timedelta(minutes=25)))

    assert house.incidents()[0].status is Status.OPEN


def test_the_end_of_an_alert_whose_start_was_merged_to_the_earlier_one_ends_it(house: House) -> None:
    """Two Prometheus servers send it 15 s apart; one Alertmanager got the later one first, then merged both."""
    house.hears(alert(starts_at=NOON))
    house.hears(alert(starts_at=NOON + timedelta(seconds=15)))
    house.clock.pass_by(minutes=20)
    house.hears(alert(starts_at=NOON, firing=False, ends_at=NOON + timedelta(minutes=19)))

    assert (house.incident().status, house.incident().firing) == (Status.RESOLVED, 0)


def test_a_firing_that_comes_back_soon_after_a_timed_out_end_is_not_lost(house: House) -> None:
    """Prometheus was cut off for six minutes; the end timed out; repeat_interval is four hours."""
    house.hears(alert())
    house.clock.pass_by(minutes=6)
    house.hears(alert(firing=False))
    house.clock.pass_by(minutes=2)
    house.hears(alert())
    doubted = house.incident().status

    house.clock.pass_by(minutes=11)
    house.watch.accept_doubted_alerts()

    assert (doubted, house.incident().status) == (Status.RESOLVED, Status.OPEN)


def test_a_late_copy_whose_sender_says_the_end_as_well_is_not_believed(house: House) -> None:
    house.hears(alert())
    house.hears(alert(firing=False))
    house.clock.pass_by(minutes=1)
    house.hears(alert())
    house.hears(alert(firing=False))

    house.clock.pass_by(minutes=11)
    house.watch.accept_doubted_alerts()

    assert house.incident().status is Status.RESOLVED


def test_a_firing_that_was_first_heard_after_its_end_is_never_believed(house: House) -> None:
    house.hears(alert(firing=False))
    house.hears(alert())

    house.clock.pass_by(minutes=11)
    house.watch.accept_doubted_alerts()

    assert house.incident().status is Status.RESOLVED


def test_an_episode_that_comes_back_and_ends_in_one_payload_ends_where_it_came_back(house: House) -> None:
    house.hears(alert())
    house.hears(alert(firing=False))
    house.clock.pass_by(hours=2)
    house.hears(alert(), alert(firing=False))

    assert {(one.status, one.firing) for one in house.incidents()} == {(Status.RESOLVED, 0)}


def test_a_clock_that_goes_back_does_not_hide_what_fires_on_after_it_was_resolved_by_hand(house: House) -> None:
    house.hears(alert())
    house.says("resolve 1")
    house.clock.pass_by(hours=-1)

    house.clock.pass_by(minutes=30)
    house.hears(alert())

    assert house.incident().status is Status.OPEN


def test_a_sender_that_cannot_be_answered_costs_the_others_no_answer(house: House) -> None:
    def is_gone(_: object) -> None:
        raise ConnectionResetError

    with house.store.begin():
        house.intake.take(of(alert("First", group="first")), is_gone)
        second: Future[IntakeResult] = Future()
        house.intake.take(of(alert("Second", group="second")), into(second))

    assert second.result(60).code == "accepted"
    assert len(house.incidents()) == 2
