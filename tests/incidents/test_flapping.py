"""Thirty cycles in an hour are one incident that flaps: held, told as such, and over when it has been quiet."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bot.alerts.classification import AlertRules
from bot.core.alert import Alert
from bot.core.incident import EventType, Status
from bot.incidents.transitions import CourseRules
from tests.house import BO, SEVERITIES, House, alert

_TRIGGERS = {EventType.OPENED, EventType.REOPENED, EventType.SEVERITY_RAISED, EventType.PAGED_AGAIN}


def passes(house: House, **much: float) -> None:
    """Time passes, and the scheduler ticks each five seconds of it."""
    for _ in range(int(timedelta(**much) / timedelta(seconds=5))):
        house.clock.pass_by(seconds=5)
        house.watch.accept_doubted_alerts()
        house.watch.look_at_due_incidents()


def cycles(house: House, count: int, *, minutes: float = 1, one: Alert | None = None) -> None:
    """It fires for so long, and is quiet for as long."""
    for _ in range(count):
        fires = replace(one or alert("Flaky"), starts_at=house.clock.at)
        house.hears(fires)
        passes(house, minutes=minutes)
        house.hears(replace(fires, firing=False, ends_at=house.clock.at))
        passes(house, minutes=minutes)


def pages(house: House) -> list[EventType]:
    house.drain()
    return [notice.event.type for notice in house.pagerduty.given if notice.event is not None]


def paged(house: House) -> list[str]:
    """What PagerDuty makes of it: what opens an incident there, and what resolves one."""
    found: list[str] = []
    for one in pages(house):
        opened = bool(found) and found[-1] != "resolved"
        if one in _TRIGGERS and not opened:
            found.append("triggered")
        if one is EventType.RESOLVED and opened:
            found.append("resolved")
    return found


def lines(house: House) -> list[str]:
    house.drain()
    return [said.partition(" ")[2] for said in house.slack.said() if said.startswith("line")]


def test_thirty_cycles_of_two_minutes_are_one_incident_that_is_told_of_once(house: House) -> None:
    cycles(house, 30)
    passes(house, minutes=20)

    assert len(house.incidents()) == 1
    told = lines(house)
    assert [one for one in told if "flapping" in one] == [
        (
            "incident.reopened: 1 alert firing again. It is flapping: 4 times in 6 min. It stays open, and pages"
            " no more for each firing, until nothing has fired for 15 min."
        ),
        "incident.resolved: Nothing has fired for 15 min. It was flapping: 30 times in 59 min.",
    ]
    assert len(told) == 7, "its end and its coming back, twice each, before it could be known; its last end before"


def test_thirty_cycles_page_once_for_the_first_firing_and_once_for_the_flapping(house: House) -> None:
    """The first page ends with the first firing, before anybody can know that there will be thirty."""
    cycles(house, 30)
    held = paged(house)
    passes(house, minutes=20)

    assert held == ["triggered", "resolved", "triggered"]
    assert paged(house) == [*held, "resolved"]
    assert pages(house).count(EventType.REOPENED) == 1


def test_what_somebody_has_acknowledged_stays_theirs_and_pages_nobody_again(house: House) -> None:
    fires = alert("Flaky")
    house.hears(fires)
    house.says("ack 1")
    passes(house, minutes=1)
    house.hears(replace(fires, firing=False))
    passes(house, minutes=1)
    cycles(house, 29)
    held = house.incident()
    passes(house, minutes=20)

    assert (held.status, held.owner, held.firing) == (Status.ACKED, "ana", 0)
    assert (house.incident().status, house.incident().resolved_by) == (Status.RESOLVED, "alertmanager")
    assert paged(house) == ["triggered", "resolved"]
    assert not {EventType.REOPENED, EventType.PAGED_AGAIN} & set(pages(house))


def test_who_acknowledges_it_while_it_flaps_keeps_it_for_hours_without_another_page(house: House) -> None:
    cycles(house, 4)
    house.says("ack 1", by=BO)
    before = pages(house)
    cycles(house, 60, minutes=2)

    assert (house.incident().status, house.incident().owner) == (Status.ACKED, "bo")
    assert pages(house) == before


def test_nobody_has_acknowledged_it_so_it_stays_paged(house: House) -> None:
    cycles(house, 10)

    assert house.incident().status is Status.OPEN
    assert paged(house)[-1] == "triggered"
    assert EventType.RESOLVED not in pages(house)[-1:]


def test_while_it_is_held_with_nothing_firing_lists_and_the_card_say_so(house: House) -> None:
    cycles(house, 4)
    passes(house, minutes=2)

    assert house.says("incidents").text == ("#1 critical open: Flaky (flapping: 4 times in 7 min; nothing fires now)")
    assert "flapping: 4 times in 7 min; nothing fires now" in house.says("show 1").text.lower()
    house.drain()
    assert "Flapping: 4 times in 7 min; nothing fires now" in house.slack.given[-1].card.lines


def test_longer_cycles_flap_as_well_at_the_third_reopening_within_an_hour(house: House) -> None:
    cycles(house, 4, minutes=8)

    assert house.incident().is_flapping
    assert pages(house)[-1] is EventType.REOPENED
    assert paged(house) == ["triggered", "resolved"] * 3 + ["triggered"]


def test_three_reopenings_in_more_than_an_hour_are_not_flapping(house: House) -> None:
    cycles(house, 5, minutes=16)

    assert not house.incident().is_flapping
    assert house.incident().status is Status.RESOLVED


def test_cycles_with_the_same_start_flap_as_well(house: House) -> None:
    for _ in range(5):
        house.hears(alert("Flaky"))
        passes(house, minutes=2)
        house.hears(alert("Flaky", firing=False))
        passes(house, minutes=2)

    assert house.incident().is_flapping
    assert (house.incident().status, house.incident().total) == (Status.OPEN, 1)


def test_it_is_over_after_the_quiet_counted_from_its_last_end(house: House) -> None:
    cycles(house, 5)
    passes(house, minutes=13, seconds=55)
    held = house.incident().status
    passes(house, seconds=10)

    assert (held, house.incident().status) == (Status.OPEN, Status.RESOLVED)
    assert not house.incident().is_flapping


def test_a_firing_before_the_quiet_is_over_holds_it_on(house: House) -> None:
    cycles(house, 5)
    passes(house, minutes=13)
    house.hears(alert("Flaky", starts_at=house.clock.at))
    passes(house, hours=2)

    assert (house.incident().status, house.incident().firing) == (Status.OPEN, 1)
    assert house.incident().is_flapping


def test_the_end_is_decided_anew_after_an_outage_of_the_bot(house: House, store_url: str) -> None:
    cycles(house, 5)
    other = House(store_url)
    other.clock.at = house.clock.at + timedelta(hours=5)
    for _ in range(2):
        other.watch.look_at_due_incidents()
    other.close()

    assert house.incident().status is Status.RESOLVED
    assert [one.type for one in house.story()].count(EventType.RESOLVED) == 4


def test_a_person_can_end_it_at_any_time_and_it_starts_anew(house: House) -> None:
    cycles(house, 5)
    house.says("resolve 1")
    ended = house.incident()
    cycles(house, 2)

    assert (ended.status, ended.resolved_by, ended.is_flapping, ended.look_at) == (Status.RESOLVED, "ana", False, None)
    assert not house.incident().is_flapping
    assert pages(house)[-3:] == [EventType.REOPENED, EventType.RESOLVED, EventType.RESOLVED]


def test_after_the_quiet_a_firing_within_the_hour_opens_it_again_and_pages(house: House) -> None:
    cycles(house, 5)
    passes(house, minutes=20)
    house.hears(alert("Flaky", starts_at=house.clock.at))

    assert len(house.incidents()) == 1
    assert pages(house)[-1] is EventType.REOPENED


def test_a_worse_alert_pages_while_it_flaps(house: House) -> None:
    slow = alert("Slow", severity="warning")
    cycles(house, 5, one=slow)
    before = pages(house)
    house.hears(alert("Down", starts_at=house.clock.at))

    assert pages(house) == [*before, EventType.SEVERITY_RAISED]


def test_what_flaps_between_two_severities_pages_for_neither(house: House) -> None:
    cycles(house, 5)
    before = pages(house)
    house.hears(alert("Slow", severity="warning", starts_at=house.clock.at))
    cycles(house, 5)

    assert pages(house) == before


def test_growth_pages_who_has_it_while_it_flaps(house: House) -> None:
    cycles(house, 5)
    house.says("ack 1")
    before = pages(house)
    house.hears(*[alert("Down", fingerprint=f"down-{n}", starts_at=house.clock.at) for n in range(5)])

    assert pages(house) == [*before, EventType.PAGED_AGAIN]
    assert house.story()[-1].text == "5 alerts fire now; Ana acknowledged it when none did."


def test_two_alerts_that_take_turns_flap_and_one_that_goes_on_does_not(house: House) -> None:
    house.hears(alert("Steady"))
    cycles(house, 10)

    assert not house.incident().is_flapping
    assert pages(house) == [EventType.OPENED]


def test_a_clock_that_is_set_back_does_not_hold_it_for_longer_than_the_quiet(house: House) -> None:
    cycles(house, 5)
    house.clock.pass_by(hours=-9)
    house.watch.correct_deadlines()
    passes(house, minutes=16)

    assert next(one for one in house.incidents() if one.id == 1).status is Status.RESOLVED


@pytest.mark.parametrize(("reopenings", "flaps"), [(0, False), (1, True), (2, True), (9, False)])
def test_the_number_of_reopenings_can_be_set_and_none_switches_it_off(
    store_url: str, reopenings: int, *, flaps: bool
) -> None:
    rules = AlertRules(severities=SEVERITIES, course=CourseRules(reopenings=reopenings, quiet=timedelta(minutes=3)))
    house = House(store_url, rules=rules)
    cycles(house, 5)
    held = house.incident().is_flapping
    passes(house, minutes=4)
    after = house.incident().status
    house.close()

    assert (held, after) == (flaps, Status.RESOLVED)
