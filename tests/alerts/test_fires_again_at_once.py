"""What its source has resolved fires again at once: open again within a minute, told in one line, paged only if it
still fires when late copies are no longer to be expected.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bot.core.alert import Alert
from bot.core.incident import EventType, Status
from bot.core.request import Request
from tests.house import ANA, BO, NOON, House, alert

FIRED, ENDED = alert(), alert(firing=False)


def ticks(house: House) -> None:
    house.watch.accept_doubted_alerts()
    house.watch.look_at_due_incidents()


def passes(house: House, **much: float) -> None:
    """Time passes, and the scheduler ticks each five seconds of it."""
    for _ in range(int(timedelta(**much) / timedelta(seconds=5))):
        house.clock.pass_by(seconds=5)
        ticks(house)


def pages(house: House) -> list[EventType]:
    house.drain()
    return [notice.event.type for notice in house.pagerduty.given if notice.event is not None]


def lines(house: House) -> list[str]:
    house.drain()
    return [said for said in house.slack.said() if said.startswith("line")]


def ended_at_once(house: House, *, acked: bool = False) -> None:
    """It fired for ten minutes, and its end has just been heard."""
    house.hears(FIRED)
    if acked:
        house.says("ack 1")
    passes(house, minutes=10)
    house.hears(ENDED)


def later(one: Alert, house: House) -> Alert:
    """The same alert, firing since now."""
    return replace(one, starts_at=house.clock.at)


def test_the_same_start_20_seconds_after_the_end_is_open_within_a_minute_with_one_line_and_no_page(
    house: House,
) -> None:
    ended_at_once(house)
    passes(house, seconds=20)
    house.hears(FIRED)
    passes(house, seconds=40)

    assert (house.incident().status, house.incident().firing, house.incident().total) == (Status.OPEN, 1, 1)
    assert lines(house)[1:] == ["line incident.refired: 1 alert firing again."]
    assert pages(house) == [EventType.OPENED, EventType.RESOLVED]


def test_a_new_start_20_seconds_after_the_end_is_open_at_once_with_one_line_and_no_page(house: House) -> None:
    ended_at_once(house)
    passes(house, seconds=20)
    house.hears(later(FIRED, house))

    assert (house.incident().status, house.incident().firing, house.incident().total) == (Status.OPEN, 1, 2)
    assert lines(house)[1:] == ["line incident.refired: 1 alert firing again."]
    assert pages(house) == [EventType.OPENED, EventType.RESOLVED]


def test_a_group_that_was_timed_out_as_a_whole_is_open_again_with_one_line_of_all(house: House) -> None:
    alerts = [alert("Slow", fingerprint=f"slow-{n}") for n in range(30)]
    house.hears(*alerts)
    passes(house, minutes=10)
    house.hears(*[replace(one, firing=False) for one in alerts])
    passes(house, seconds=20)
    house.hears(*alerts)
    passes(house, seconds=40)

    assert lines(house)[1:] == ["line incident.refired: 30 alerts firing again."]
    assert house.incident().firing == 30


@pytest.mark.parametrize("same_start", [True, False])
def test_what_still_fires_when_that_time_is_over_pages_and_says_why(house: House, *, same_start: bool) -> None:
    ended_at_once(house)
    passes(house, seconds=20)
    house.hears(FIRED if same_start else later(FIRED, house))
    passes(house, minutes=4, seconds=35)
    before = pages(house)
    passes(house, minutes=1, seconds=20)

    assert before == [EventType.OPENED, EventType.RESOLVED]
    assert pages(house) == [*before, EventType.PAGED_AGAIN]
    assert house.story()[-1].text.startswith("It had ended, fired again at 12:1")
    assert house.story()[-1].text.endswith(" UTC and still fires: 1 alert.")
    passes(house, minutes=20)
    assert pages(house) == [*before, EventType.PAGED_AGAIN]


def test_what_ends_before_that_time_is_over_pages_nobody(house: House) -> None:
    ended_at_once(house)
    house.clock.pass_by(seconds=20)
    again = later(FIRED, house)
    house.hears(again)
    passes(house, minutes=2)
    house.hears(replace(again, firing=False))
    passes(house, minutes=20)

    assert house.incident().status is Status.RESOLVED
    assert EventType.PAGED_AGAIN not in pages(house)


def test_the_second_page_is_decided_anew_after_a_restart_and_once_by_two_replicas(house: House, store_url: str) -> None:
    ended_at_once(house)
    house.clock.pass_by(seconds=20)
    house.hears(later(FIRED, house))
    other = House(store_url)
    other.clock.at = house.clock.at + timedelta(hours=1)
    other.watch.look_at_due_incidents()
    house.clock.pass_by(hours=1)
    house.watch.look_at_due_incidents()
    other.close()

    assert pages(house).count(EventType.PAGED_AGAIN) == 1


def test_the_acknowledgement_and_its_owner_stay(house: House) -> None:
    ended_at_once(house, acked=True)
    house.clock.pass_by(seconds=20)
    house.hears(later(FIRED, house))

    assert (house.incident().status, house.incident().owner) == (Status.ACKED, "ana")
    assert EventType.PAGED_AGAIN not in pages(house)


def test_what_its_owner_saw_end_and_still_fires_pages_although_it_was_acknowledged(house: House) -> None:
    ended_at_once(house, acked=True)
    house.clock.pass_by(seconds=20)
    house.hears(later(FIRED, house))
    passes(house, minutes=6)

    assert pages(house)[-1] is EventType.PAGED_AGAIN
    assert (house.incident().status, house.incident().owner) == (Status.ACKED, "ana")
    assert house.says("ack 1").text.startswith("Incident 1 is yours")
    assert pages(house)[-1] is EventType.ACKED


@pytest.mark.parametrize("acked", [True, False])
def test_who_acknowledges_it_meanwhile_is_not_paged(house: House, *, acked: bool) -> None:
    ended_at_once(house, acked=acked)
    house.clock.pass_by(seconds=20)
    house.hears(later(FIRED, house))
    house.says("ack 1")
    passes(house, minutes=20)

    assert house.incident().owner == "ana"
    assert EventType.PAGED_AGAIN not in pages(house)


def test_an_assignee_who_has_not_acknowledged_it_is_still_to_be_paged_for(house: House) -> None:
    ended_at_once(house)
    house.clock.pass_by(seconds=20)
    house.hears(later(FIRED, house))
    house.says("assign 1 bo")
    passes(house, minutes=20)

    assert pages(house)[-1] is EventType.PAGED_AGAIN
    assert (house.incident().status, house.incident().owner) == (Status.OPEN, "bo")


def test_another_alert_of_the_group_pages_at_once(house: House) -> None:
    ended_at_once(house)
    passes(house, seconds=20)
    house.hears(alert("Other", starts_at=house.clock.at))

    assert pages(house)[-1] is EventType.REOPENED


def test_another_alert_that_joins_what_fired_again_pages_at_once(house: House) -> None:
    ended_at_once(house)
    passes(house, seconds=20)
    again = later(FIRED, house)
    house.hears(again)
    passes(house, seconds=20)
    house.hears(again, alert("Other", starts_at=house.clock.at))
    passes(house, minutes=20)

    assert pages(house)[2:] == [EventType.PAGED_AGAIN]
    assert house.story()[-1].text == "More than what came back fires now: Other."


def test_a_worse_alert_that_joins_what_fired_again_pages_once(house: House) -> None:
    house.hears(alert("Slow", severity="warning"))
    passes(house, minutes=10)
    house.hears(alert("Slow", severity="warning", firing=False))
    passes(house, seconds=20)
    house.hears(alert("Slow", severity="warning", starts_at=house.clock.at))
    house.hears(alert("Down", starts_at=house.clock.at))
    passes(house, minutes=20)

    assert pages(house)[2:] == [EventType.SEVERITY_RAISED]


def test_after_a_person_resolved_it_a_new_firing_pages_at_once(house: House) -> None:
    house.hears(FIRED)
    passes(house, minutes=10)
    house.says("resolve 1")
    house.hears(ENDED)
    house.clock.pass_by(seconds=20)
    house.hears(later(FIRED, house))

    assert pages(house)[-1] is EventType.REOPENED
    assert house.incident().owner is None


def test_after_the_time_of_late_copies_it_pages_at_once(house: House) -> None:
    ended_at_once(house, acked=True)
    passes(house, minutes=5, seconds=5)
    house.hears(later(FIRED, house))

    assert pages(house)[-1] is EventType.REOPENED
    assert (house.incident().status, house.incident().owner) == (Status.OPEN, None)


def test_what_was_never_paged_for_because_its_end_came_first_pages_at_once(house: House) -> None:
    house.hears(ENDED)
    house.hears(FIRED)
    house.clock.pass_by(seconds=20)
    house.hears(later(FIRED, house))

    assert pages(house) == [EventType.REOPENED]


def test_what_opened_and_ended_in_one_commit_has_rung_nowhere_and_pages_at_once(house: House) -> None:
    house.hears(FIRED, ENDED)
    house.clock.pass_by(seconds=20)
    house.hears(later(FIRED, house))

    assert pages(house)[-1] is EventType.REOPENED


def test_a_late_copy_whose_sender_says_the_end_within_the_half_minute_opens_nothing(house: House) -> None:
    ended_at_once(house)
    passes(house, seconds=15)
    house.hears(FIRED)
    passes(house, seconds=25)
    house.hears(ENDED)
    passes(house, minutes=20)

    assert house.incident().status is Status.RESOLVED
    assert [event.type for event in house.story()] == [EventType.OPENED, EventType.RESOLVED]


@pytest.mark.parametrize("seconds", [0, 15, 30])
def test_a_late_copy_whose_sender_says_the_end_at_its_next_flush_never_pages(house: House, seconds: int) -> None:
    """A partition: both peers send everything, the second one 15 s later, and its group_interval is five minutes."""
    ended_at_once(house)
    passes(house, seconds=seconds)
    house.hears(FIRED)
    passes(house, minutes=5)
    house.hears(ENDED)
    passes(house, minutes=20)

    assert house.incident().status is Status.RESOLVED
    assert pages(house) == [EventType.OPENED, EventType.RESOLVED, EventType.RESOLVED]


def test_a_copy_heard_twice_is_opened_no_later(house: House) -> None:
    ended_at_once(house)
    passes(house, seconds=20)
    house.hears(FIRED)
    passes(house, seconds=20)
    house.hears(FIRED)
    passes(house, seconds=20)

    assert house.incident().status is Status.OPEN


def test_a_repeat_after_the_half_minute_is_believed_without_a_tick(house: House) -> None:
    ended_at_once(house)
    house.hears(FIRED)
    house.clock.pass_by(seconds=31)
    house.hears(FIRED)

    assert house.incident().status is Status.OPEN


def test_a_doubt_that_lasted_over_an_outage_of_the_bot_pages_when_it_is_believed(house: House) -> None:
    ended_at_once(house)
    house.hears(FIRED)
    house.clock.pass_by(minutes=20)
    ticks(house)

    assert pages(house)[-1] is EventType.REOPENED


def test_a_command_from_before_it_fired_again_is_refused(house: House) -> None:
    ended_at_once(house)
    house.clock.pass_by(minutes=2)
    sent_at = house.clock.at
    house.clock.pass_by(minutes=1)
    house.hears(later(FIRED, house))
    late = Request(by=ANA, text="resolve 1", channel="slack", account="U1", sent_at=sent_at)

    assert house.dispatcher.handle(late).text.startswith("That was sent at 12:12 UTC, before incident 1 opened again")
    assert house.incident().status is Status.OPEN


def test_the_bots_own_alerts_follow_the_same_rules(house: House) -> None:
    house.cannot_read(b"{")
    passes(house, hours=3)
    house.says("ack 1", by=BO)
    house.cannot_read(b"[")
    passes(house, hours=2)
    house.cannot_read(b"{}{")

    assert (house.incident().status, house.incident().owner) == (Status.ACKED, "bo")
    assert pages(house) == [EventType.OPENED, EventType.ACKED, EventType.PAGED_AGAIN]


def test_a_clock_that_is_set_back_does_not_delay_the_second_page_by_more_than_its_time(house: House) -> None:
    ended_at_once(house)
    house.clock.pass_by(seconds=20)
    house.hears(later(FIRED, house))
    house.clock.pass_by(hours=-9)
    house.watch.correct_deadlines()
    due = house.incident().look_at

    assert due is not None
    assert due - house.clock.at <= timedelta(minutes=15)
    assert due < NOON
