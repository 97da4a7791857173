"""Whether an approval still counts is one pure decision, with its reason named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.access.identity import AccountHolder
from bot.actions.approval_validity import ApproverState, LapseCause, lapse_of, review
from bot.core.access import Decision, RecordedIdentity
from bot.core.plan import Plan, PlanState, Proposal

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = AT + timedelta(minutes=1)
MAY = Decision(allowed=True, reason="Allowed.")
MAY_NOT = Decision(allowed=False, reason="Denied.")


def voice(person: str, account: str, *more: str, at: datetime = AT) -> RecordedIdentity:
    had = frozenset(("slack", one) for one in (account, *more) if one)
    return RecordedIdentity(person=person, channel="slack", account=account, at=at, accounts=had)


def now(person: str, decision: Decision = MAY, *, since: datetime | None = None, outside: str = "") -> ApproverState:
    return ApproverState(
        listed=True, held=AccountHolder(person=person, since=since), decision=decision, outside=outside
    )


def plan(*given: RecordedIdentity, needs: int = 2) -> Proposal:
    return Proposal(
        handle="a" * 32,
        verb="turn",
        command="turn prod/api 6",
        requester="ana",
        channel="slack",
        incident_id=None,
        at=AT,
        approvals_needed=needs,
        state=PlanState.SHOWN,
        plan=Plan(target="prod/api", effect=(), blast_radius=""),
        digest="",
        approvals=given,
        account="U1",
        accounts=frozenset({("slack", "U1"), ("telegram", "1001")}),
    )


BO, CY = voice("bo", "U2"), voice("cy", "U3")


@pytest.mark.parametrize(
    ("bar", "said", "is_now"),
    [
        (None, BO, now("bo")),
        (LapseCause.UNRECORDED, voice("bo", ""), now("bo")),
        (LapseCause.GONE, BO, replace(now("bo"), listed=False)),
        (LapseCause.MOVED, BO, now("robert")),
        (LapseCause.MOVED, BO, replace(now("bo"), held=None)),
        (LapseCause.MOVED, BO, now("bo", since=LATER)),
        (LapseCause.OUTSIDE, BO, now("bo", outside="Slack says that it is deactivated.")),
        (LapseCause.OWN, voice("ana", "U9"), now("ana")),
        (LapseCause.OWN, voice("anna", "U9", "U1"), now("anna")),
        (LapseCause.TWICE, voice("cy", "U9"), now("cy")),
        (LapseCause.TWICE, voice("cyrus", "U9", "U3"), now("cyrus")),
        (LapseCause.LINKED_LATER, voice("bo", "U2", at=LATER), now("bo", since=LATER)),
        (None, voice("bo", "U2", at=LATER), now("bo", since=AT)),
        (LapseCause.NO_RIGHT, BO, now("bo", MAY_NOT)),
    ],
)
def test_a_yes_counts_or_the_reason_is_named(
    bar: LapseCause | None, said: RecordedIdentity, is_now: ApproverState
) -> None:
    found = lapse_of(plan(), said, is_now, [CY])

    assert (found and found.cause) == bar


def test_who_confirms_their_own_plan_may_do_so_from_any_account_of_theirs_and_nobody_else_may() -> None:
    own = plan(needs=0)

    assert lapse_of(own, voice("ana", "U9", at=LATER), now("ana", since=LATER), []) is None
    other = lapse_of(own, BO, now("bo"), [])
    assert other is not None
    assert other.cause is LapseCause.NOT_THE_ASKER


@pytest.mark.parametrize(
    ("asker", "needed", "bar"),
    [
        (now("ana"), 2, None),
        (now("ana"), 0, None),
        (now("ana"), 3, LapseCause.NEEDS_MORE),
        (now("ana", MAY_NOT), 2, LapseCause.NO_RIGHT),
        (now("anna"), 2, LapseCause.MOVED),
        (replace(now("ana"), listed=False), 2, LapseCause.GONE),
        (now("ana", outside="Slack says that it is deactivated."), 2, LapseCause.OUTSIDE),
    ],
)
def test_whoever_asked_is_decided_anew_as_well(asker: ApproverState, needed: int, bar: LapseCause | None) -> None:
    verdict = review(plan(BO, CY), asker, [now("bo"), now("cy")], needed)

    assert (verdict.stopped and verdict.stopped.cause) == bar
    assert verdict.runs is (bar is None)


@pytest.mark.parametrize(
    ("given", "is_now", "missing", "counting"),
    [
        ((), [], 2, []),
        ((BO,), [now("bo")], 1, ["bo"]),
        ((BO, CY), [now("bo"), now("cy")], 0, ["bo", "cy"]),
        ((BO, CY), [now("bo", MAY_NOT), now("cy")], 1, ["cy"]),
        ((BO, voice("bob", "U8", "U2")), [now("bo"), now("bob")], 1, ["bo"]),
        ((BO, voice("bob", "U8", "U2")), [now("bo", MAY_NOT), now("bob")], 1, ["bob"]),
    ],
)
def test_what_is_missing_is_counted_by_what_counts(
    given: tuple[RecordedIdentity, ...], is_now: list[ApproverState], missing: int, counting: list[str]
) -> None:
    verdict = review(plan(*given), now("ana"), is_now, 2)

    assert verdict.missing == missing
    assert [one.person for one in verdict.counting] == counting
    assert {one.identity.person for one in verdict.lapsed} == {one.person for one in given} - set(counting)


def test_a_plan_that_its_asker_confirms_waits_for_that_one_yes() -> None:
    assert review(plan(needs=0), now("ana"), [], 0).missing == 1
    assert review(plan(voice("ana", "U1"), needs=0), now("ana"), [now("ana")], 0).runs
