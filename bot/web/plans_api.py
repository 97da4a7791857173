"""Plans that wait for approval, as the API shows them: what each would do, what is missing, and its buttons.

A button is shown to the person at the console if their answer can count: who may approve is decided when they press it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from pydantic import BaseModel, Field

from bot.actions.approval import approve_command, describe_waiting, plan_lines
from bot.core.plan import Proposal
from bot.notifications.card import CardSettings
from bot.store import plans
from bot.store.sql import Sql
from bot.store.views import Reader

#: Plans in one answer. A plan waits for 15 minutes, so there are hardly ever more.
MOST_PLANS = 100
#: Says who can approve a plan of which so many approvals are missing, a sentence; "" where the requester confirms it.
WhoApproves = Callable[[Sql, datetime, Proposal, int], str]


class PlanOut(BaseModel):
    """One plan. `buttons`: label to the command that a person could have typed."""

    id: str
    words: str = Field(description="The command that was asked for.")
    by: str = Field(description="Who asked for it.")
    via: str = Field(description="The channel that it was asked for in.")
    incident_id: int | None
    target: str
    lines: list[str] = Field(description="What it would do, what it touches and what it saw, a sentence each.")
    waits_for: str = Field(description="Whose approval is missing, until when, and the command that gives it.")
    can_approve: str = Field(description="Who can approve it; empty where the requester confirms it.")
    approved_by: list[str]
    asked_at: datetime
    expires_at: datetime
    buttons: dict[str, str]


class PlansOut(BaseModel):
    """The plans that wait, newest first; at most 100."""

    plans: list[PlanOut]


def waiting_plans(
    seen: Reader, now: datetime, cards: CardSettings, person: str, who_approves: WhoApproves | None = None
) -> bytes:
    """`person`: whose buttons are shown."""
    found = plans.waiting_plans(seen.sql, now, MOST_PLANS)
    able = [who_approves(seen.sql, now, one, _missing(one)) if who_approves else "" for one in found]
    shown = [_plan(one, cards, person, approvers) for one, approvers in zip(found, able, strict=True)]
    return PlansOut(plans=shown).model_dump_json().encode()


def _missing(one: Proposal) -> int:
    return max(1, one.approvals_needed - len(one.approvals))


def _plan(one: Proposal, cards: CardSettings, person: str, can_approve: str) -> PlanOut:
    return PlanOut(
        id=one.short_handle,
        words=one.command,
        by=cards.names.get(one.requester, one.requester),
        via=one.channel,
        incident_id=one.incident_id,
        target=one.plan.target,
        lines=list(plan_lines(one.plan, one.at)),
        waits_for=describe_waiting(one, _missing(one)),
        can_approve=can_approve,
        approved_by=[cards.names.get(approver, approver) for approver in one.approvers],
        asked_at=one.at,
        expires_at=one.expires_at,
        buttons=dict(_buttons(one, person)),
    )


def _buttons(one: Proposal, person: str) -> Iterator[tuple[str, str]]:
    """The requester alone confirms a plan that needs nobody else, and approves none that does."""
    own = one.requester == person
    if own is (one.approvals_needed == 0) and person not in one.approvers and not one.plan.confirm_name:
        yield "Do it" if own else "Approve", approve_command(one)
    yield "Drop it", f"no {one.short_handle}"
