"""The plan as people read it: what it does and how to go back come first, and durations are in units."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.actions import approval
from bot.core.plan import Plan, PlanState, Proposal
from tests.house import NOON

_LIMITS = {"replicas": "2 to 10", "step": "at most 3"}
_PLAN = Plan(
    target="prod/api",
    effect=("prod/api goes from 3 to 6 replicas",),
    blast_radius="3 more pods",
    preconditions={"replicas": "3", "resourceVersion": "77"},
    undo_command="scale prod/api 3",
    undo_after=timedelta(minutes=30),
    check="up == 1",
    check_duration=timedelta(hours=2),
    hidden=("resourceVersion",),
)
_PROPOSAL = Proposal(
    handle="0123456789abcdef",
    verb="scale",
    command="scale prod/api 6 for 30m",
    requester="ana",
    channel="slack",
    incident_id=None,
    at=NOON,
    approvals_needed=1,
    state=PlanState.SHOWN,
    plan=_PLAN,
    digest="",
)


def test_a_card_has_the_effect_and_the_way_back_first_and_the_limits_in_one_line() -> None:
    card = approval.plan_card(_PROPOSAL, "Ana", _LIMITS)

    assert card.title == "Ana asks: scale prod/api 6 for 30m"
    assert card.lines == (
        "prod/api goes from 3 to 6 replicas",
        "Undo: scale prod/api 3",
        "Undone automatically after 30 min, unless somebody keeps it",
        "Checked for 2 h, and undone if this does not hold: up == 1",
        "Touches: 3 more pods",
        "Seen: replicas 3",
        "Limits: replicas: 2 to 10; step: at most 3",
        "Needs 1 approval from somebody other than ana, until 12:15 UTC: `yes 01234567`",
    )


def test_a_plan_that_was_made_again_says_first_what_has_changed() -> None:
    card = approval.plan_card(_PROPOSAL, "Ana", _LIMITS, ("replicas: 2 -> 3",))

    assert card.lines[:2] == ("Changed: replicas: 2 -> 3", "prod/api goes from 3 to 6 replicas")


def test_a_plan_that_changes_for_good_has_no_line_about_a_way_back() -> None:
    lasting = replace(_PLAN, undo_command="", undo_after=timedelta(0), check="")

    card = approval.plan_card(replace(_PROPOSAL, plan=lasting), "Ana", _LIMITS)

    assert [line.partition(":")[0] for line in card.lines[1:]] == [
        "Touches",
        "Seen",
        "Limits",
        "Needs 1 approval from somebody other than ana, until 12",
    ]


def test_the_missing_approvals_are_counted_and_a_requester_alone_confirms() -> None:
    alone = replace(_PROPOSAL, approvals_needed=0)

    assert approval.describe_waiting(_PROPOSAL, 2) == (
        "Needs 2 approvals from people other than ana, until 12:15 UTC: `yes 01234567`"
    )
    assert approval.describe_waiting(alone, 0) == "ana confirms it, until 12:15 UTC: `yes 01234567`"
