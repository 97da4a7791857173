"""The flags of a reply: whether everybody sees it, and whether the plan's buttons are of no use any more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bot.core.action import Tools
from bot.core.plan import Plan, Risk
from bot.core.request import Reply
from tests.dials import Turn, TurnArgs
from tests.house import BO, CY, House


class _Lost(Turn):
    """Nothing undoes it."""

    def plan(self, args: TurnArgs, tools: Tools) -> Plan:
        return replace(super().plan(args, tools), undo_command="")


def flags(reply: Reply) -> tuple[bool, bool, bool]:
    return reply.ok, reply.shared, reply.plan_closed


def press(reply: Reply, label: str) -> str:
    assert reply.card is not None
    return reply.card.buttons[label]


def test_a_used_plan_is_told_to_everybody_once(house: House) -> None:
    shown = house.says("turn prod/api 6")

    first = house.says(press(shown, "Do it"))
    second = house.says(press(shown, "Do it"))

    assert shown.visible_to_all
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
    house.action(risk=Risk.IRREVERSIBLE)
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


def test_what_nothing_can_undo_is_not_said_to_be_undone_by_anything(house: House) -> None:
    kept = house.says("turn prod/api 6")
    turn: Any = _Lost(house.dials)
    house.verbs.actions["turn"] = turn
    lost = house.says("turn prod/api 7")

    shown = [[line for line in one.card.lines if line.startswith("Undo")] for one in (kept, lost) if one.card]
    assert shown == [["Undo: turn prod/api 3"], []]
