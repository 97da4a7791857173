"""What the gate says of an answer, so that a chat knows whom to tell and when a plan's buttons are of no use."""

from __future__ import annotations

from bot.acts import Risk
from bot.model import Reply
from tests.house import BO, CY, House


def flags(reply: Reply) -> tuple[bool, bool, bool]:
    return reply.ok, reply.shared, reply.over


def press(reply: Reply, label: str) -> str:
    assert reply.card is not None
    return reply.card.buttons[label]


def test_a_used_plan_is_told_to_everybody_once(house: House) -> None:
    shown = house.says("turn prod/api 6")

    first = house.says(press(shown, "Do it"))
    second = house.says(press(shown, "Do it"))

    assert shown.for_all
    assert not shown.shared
    assert flags(first) == (True, True, True)
    assert flags(second) == (False, False, True)


def test_a_dropped_plan_is_over_for_everybody(house: House) -> None:
    shown = house.says("turn prod/api 6")

    dropped = house.says(press(shown, "Drop it"))
    late = house.says(press(shown, "Do it"))

    assert flags(dropped) == (True, True, True)
    assert flags(late) == (False, False, True)


def test_a_yes_that_does_not_count_leaves_the_plan_open(house: House) -> None:
    house.action(risk=Risk.LASTING)
    shown = house.says("turn prod/api 6")

    own = house.says(press(shown, "Approve"))
    not_allowed = house.says(press(shown, "Approve"), by=BO)
    counted = house.says(press(shown, "Approve"), by=CY)

    assert flags(own) == (False, False, False)
    assert flags(not_allowed) == (False, False, False)
    assert flags(counted) == (True, True, True)


def test_an_expired_plan_is_over(house: House) -> None:
    shown = house.says("turn prod/api 6")
    house.clock.pass_by(minutes=16)

    assert flags(house.says(press(shown, "Do it"))) == (False, False, True)
