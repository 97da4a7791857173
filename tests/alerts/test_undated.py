"""An alert whose start is missing or cannot be right continues the firing that is known: its start is no identity."""

from __future__ import annotations

from bot.alerts.intake import IntakeResult
from bot.core.incident import EventType, Status
from bot.integrations.alertmanager.source import AlertmanagerSource
from tests.alerts.alerts_of import alert as payload_alert
from tests.alerts.alerts_of import body
from tests.house import House

YEAR_1 = "0001-01-01T00:00:00Z"


def hears(house: House, *, status: str = "firing", start: str | None = YEAR_1) -> IntakeResult:
    sent = body(payload_alert(status=status, startsAt=start, endsAt=YEAR_1))
    return house.hears_all(AlertmanagerSource(house.clock).read({}, sent))[0]


def told(house: House, number: int = 1) -> list[EventType]:
    return [event.type for event in house.story(number)]


def test_its_repeats_are_duplicates_and_count_once(house: House) -> None:
    hears(house)
    for _ in range(3):
        house.clock.pass_by(hours=4)
        assert hears(house).code == "duplicate"

    assert (house.incident().firing, house.incident().total) == (1, 1)
    assert told(house) == [EventType.OPENED]


def test_a_repeat_after_it_was_resolved_by_hand_reopens_it_once_and_counts_nothing_anew(house: House) -> None:
    hears(house)
    house.says("resolve 1")
    house.clock.pass_by(minutes=2)
    soon = hears(house).code
    house.clock.pass_by(minutes=10)
    hears(house)
    house.clock.pass_by(minutes=10)
    later = hears(house).code

    assert (soon, later) == ("duplicate", "duplicate")
    assert told(house) == [EventType.OPENED, EventType.RESOLVED, EventType.REOPENED]
    assert "still firing after it was resolved by Ana" in house.story()[-1].text
    assert (house.incident().firing, house.incident().total, len(house.incidents())) == (1, 1, 1)


def test_its_end_ends_it_and_a_second_end_is_known(house: House) -> None:
    hears(house)
    house.clock.pass_by(minutes=30)
    hears(house, status="resolved", start=None)
    hears(house, status="resolved", start=None)

    assert (house.incident().status, house.incident().total) == (Status.RESOLVED, 1)
    with house.store.read() as reading:
        assert len(reading.alerts(1)) == 1


def test_a_late_copy_of_it_does_not_undo_its_end_and_a_firing_hours_later_is_a_new_one(house: House) -> None:
    hears(house)
    house.clock.pass_by(minutes=30)
    hears(house, status="resolved")
    house.clock.pass_by(minutes=1)
    hears(house)
    copied = house.incident().status
    house.clock.pass_by(hours=3)
    hears(house)

    assert (copied, house.incident(2).status) == (Status.RESOLVED, Status.OPEN)
    with house.store.read() as reading:
        [again] = reading.alerts(2)
    assert again.starts_at == house.clock()


def test_its_end_that_comes_first_is_followed_by_its_firing_as_one_that_is_over(house: House) -> None:
    hears(house, status="resolved")
    house.clock.pass_by(seconds=1)
    hears(house)

    assert (house.incident().status, house.incident().total) == (Status.RESOLVED, 1)
