"""A new firing is paged, also where its start lies before the end that was just heard; a copy is not."""

from __future__ import annotations

from datetime import timedelta

from bot.core.incident import EventType, Status
from tests.house import NOON, House, alert


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def paged(house: House) -> list[EventType]:
    house.drain()
    return [notice.event.type for notice in house.pagerduty.given if notice.event]


def test_a_firing_that_began_20_s_before_the_end_just_heard_fires_and_is_paged(house: House) -> None:
    house.hears(alert())
    house.clock.pass_by(minutes=10)
    house.hears(alert(firing=False, ends_at=NOON + minutes(10)))
    house.clock.pass_by(seconds=5)
    house.hears(alert(starts_at=NOON + minutes(10) - timedelta(seconds=20)))

    assert (house.incident().status, house.incident().firing, house.incident().total) == (Status.OPEN, 1, 2)
    assert paged(house) == [EventType.OPENED, EventType.RESOLVED, EventType.REOPENED]


def test_a_firing_that_began_before_an_end_that_lies_ahead_fires_and_is_paged(house: House) -> None:
    """Some senders put the time at which the alert would have expired."""
    house.hears(alert())
    house.clock.pass_by(minutes=2)
    house.hears(alert(firing=False, ends_at=NOON + minutes(60)))
    house.clock.pass_by(minutes=3)
    house.hears(alert(starts_at=NOON + minutes(4)))

    assert (house.incident().status, house.incident().firing) == (Status.OPEN, 1)
    assert paged(house)[-1] is EventType.REOPENED


def test_the_end_of_the_last_firing_that_is_heard_after_a_new_one_began_does_not_end_the_new_one(house: House) -> None:
    """The two of a cluster send on their own: one tells the new firing, then the other the end of the old one."""
    house.hears(alert())
    house.clock.pass_by(minutes=10)
    house.hears(alert(starts_at=NOON + minutes(10) - timedelta(seconds=20)))
    house.hears(alert(firing=False, ends_at=NOON + minutes(10)))

    assert (house.incident().status, house.incident().firing) == (Status.OPEN, 1)


def test_a_late_copy_with_the_start_from_before_the_merge_is_over(house: House) -> None:
    """Two servers see it 15 s apart; Alertmanager took the earlier start, and a copy with the other is late."""
    house.hears(alert(starts_at=NOON))
    house.clock.pass_by(minutes=20)
    house.hears(alert(firing=False, ends_at=NOON + minutes(19)))
    house.hears(alert(starts_at=NOON + timedelta(seconds=15)))

    assert (house.incident().status, house.incident().firing) == (Status.RESOLVED, 0)
    assert paged(house) == [EventType.OPENED, EventType.RESOLVED]


def test_a_copy_of_what_is_known_is_late_also_where_its_start_is_near_the_end(house: House) -> None:
    house.hears(alert())
    house.clock.pass_by(minutes=10)
    again = NOON + minutes(9.9)
    house.hears(alert(firing=False, ends_at=NOON + minutes(10)))
    house.hears(alert(starts_at=again))
    house.hears(alert(starts_at=again, firing=False, ends_at=NOON + minutes(10)))
    house.hears(alert(starts_at=again))

    assert (house.incident().status, house.incident().total) == (Status.RESOLVED, 2)


def test_a_merged_start_is_known_although_the_clock_of_the_sender_is_ahead(house: House) -> None:
    ahead = NOON + minutes(10)
    house.hears(alert(starts_at=ahead + timedelta(seconds=15)))
    house.clock.pass_by(minutes=3)
    house.hears(alert(starts_at=ahead, firing=False, ends_at=ahead + minutes(3)))

    assert (house.incident().status, house.incident().firing) == (Status.RESOLVED, 0)
