"""In a storm, what is critical is told within five seconds, by the limits of Slack and of Telegram themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bot.integrations.slack.channel import Slack
from bot.integrations.telegram.channel import _limits
from bot.store import outbox
from tests.house import House, Mouthpiece, alert

LIMITS = {"slack": Slack.limits, "telegram": _limits(-1001)}
SOON = timedelta(seconds=5)


@pytest.fixture(params=["slack", "telegram"])
def chat(house: House, request: pytest.FixtureRequest) -> Mouthpiece:
    found: Mouthpiece = getattr(house, request.param)
    found.limits = LIMITS[found.name]
    return found


def warnings(house: House, count: int, *, first: int = 0) -> None:
    for number in range(first, first + count):
        house.hears(alert(f"W{number}", group=f"w{number}", severity="warning"))


def goes_on(house: House, chat: Mouthpiece, *, seconds: float) -> None:
    """Time passes in steps of 50 ms, and what is due is sent."""
    ends = house.clock.at + timedelta(seconds=seconds)
    while house.clock.at < ends:
        house.drain(chat)
        house.clock.pass_by(milliseconds=50)


def told_after(house: House, chat: Mouthpiece, title: str, *, within: timedelta = timedelta(minutes=5)) -> timedelta:
    """How long from now until a card with that title is posted."""
    began = house.clock.at
    seen = len(chat.given)
    while house.clock.at - began < within:
        house.drain(chat)
        if any(one.card.title.endswith(title) and one.ref is None for one in chat.given[seen:]):
            return house.clock.at - began
        house.clock.pass_by(milliseconds=50)
    return within


@pytest.mark.parametrize("after_s", [0, 3, 25, 59, 90])
def test_a_new_critical_overtakes_three_hundred_groups_of_warnings(
    house: House, chat: Mouthpiece, after_s: float
) -> None:
    warnings(house, 300)
    goes_on(house, chat, seconds=after_s)

    house.hears(alert("DatabaseDown", group="db"))

    assert told_after(house, chat, "DatabaseDown") <= SOON


def test_so_do_five_criticals_that_follow_each_other_when_warnings_have_used_the_minute(
    house: House, chat: Mouthpiece
) -> None:
    warnings(house, 300)
    goes_on(house, chat, seconds=30)
    waited = []

    for number in range(5):
        house.hears(alert(f"Down{number}", group=f"down{number}"))
        waited.append(told_after(house, chat, f"Down{number}"))

    assert max(waited) <= SOON


def test_an_incident_that_becomes_critical_in_a_storm_overtakes_as_well(house: House, chat: Mouthpiece) -> None:
    house.hears(alert("Slow", group="db", severity="warning"))
    goes_on(house, chat, seconds=1)
    warnings(house, 60)
    for number in range(2, 42):
        house.says(f"ack {number}")
    goes_on(house, chat, seconds=25)
    seen = len(chat.given)

    house.hears(alert("DatabaseDown", group="db"))
    goes_on(house, chat, seconds=5)

    assert "#1 DatabaseDown" in [one.card.title for one in chat.given[seen:] if one.incident.id == 1]


def test_an_older_critical_that_was_late_goes_before_newer_warnings(house: House, chat: Mouthpiece) -> None:
    house.hears(alert("DatabaseDown", group="db"))
    house.claim(chat, lease=timedelta(seconds=30))
    warnings(house, 300)
    house.says("note 1 looking")
    goes_on(house, chat, seconds=31)

    house.watch.release_leases()

    assert told_after(house, chat, "DatabaseDown") <= SOON


@pytest.mark.parametrize(
    ("count", "reserved"), [(1, 0), (3, 0), (4, 1), (8, 2), (20, 5), (60, 5), (120, 6), (1000, 50)]
)
def test_so_many_places_of_a_quota_are_for_criticals_alone(count: int, reserved: int) -> None:
    assert outbox.reserved(count) == reserved


def test_texts_that_change_with_every_repeat_do_not_keep_an_acknowledgement_waiting(
    house: House, chat: Mouthpiece
) -> None:
    def repeated(value: int) -> None:
        for number in range(60):
            fires = alert(f"W{number}", group=f"w{number}", severity="warning")
            house.hears(replace(fires, annotations={"description": f"{value} % are left."}))

    repeated(9)
    goes_on(house, chat, seconds=400)
    repeated(8)
    goes_on(house, chat, seconds=20)
    began, seen = house.clock.at, len(chat.given)
    house.says("ack 7")
    while not any(one.event for one in chat.given[seen:]) and house.clock.at - began < timedelta(minutes=2):
        goes_on(house, chat, seconds=0.05)

    assert house.clock.at - began <= SOON
