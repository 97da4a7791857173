"""Shows a plan that waits for approval: stores it, unless a plan of the same request and the same bytes waits already.

The promise: whoever sends a command twice, because the first answer was slow or is out of sight, has one plan to
approve, and is told of it. The trap: an equal digest is not enough. The bytes say nothing of how many approvals the
rights ask for, of the incident whose thread counts, or of the run that is undone; a plan that differs in one of these
is another one, and both wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bot.access.break_glass import BreakGlass
from bot.actions import approval, approval_facts, plan_writer
from bot.actions.audit_entries import request_entry
from bot.core.access import Decision
from bot.core.audit import Code
from bot.core.incident import Committed
from bot.core.plan import Proposal, Risk
from bot.core.request import Request
from bot.store import audit_log, plans
from bot.store.transaction import Tx


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownPlan:
    """What the requester is shown."""

    proposal: Proposal  #: the new plan, or the one that waits already, with what moves by itself as it is now
    missing: int  #: approvals
    notes: tuple[str, ...]  #: a sentence each, about plans of the same request
    approvers: str  #: who can approve it; "" if the requester confirms it
    written: Committed


def show_plan(
    tx: Tx, proposal: Proposal, request: Request, decision: Decision, *, risk: Risk, rights: BreakGlass
) -> ShownPlan:
    """Store the plan and announce it, or find the one that waits already."""
    older = plans.waiting_plans_of(tx, proposal.requester, proposal.verb, proposal.command)
    for one in older:
        verdict = approval_facts.review_approvals(rights.authorizer, tx, one, risk) if _same(one, proposal) else None
        if verdict is None or verdict.stopped is not None:
            continue
        message = f"plan {one.short_handle} of the same request waits already; no second one was made"
        audit_log.append(tx, [request_entry(request, Code.REPLAYED, message, one, decision=decision)])
        return ShownPlan(
            proposal=replace(one, plan=proposal.plan),
            missing=verdict.missing,
            notes=(_waits_already(one), *_wait_too(two for two in older if two is not one)),
            approvers=approval_facts.describe_approvers(rights.authorizer, tx.sql, tx.now, one, verdict.missing),
            written=Committed(),
        )
    return ShownPlan(
        proposal=proposal,
        missing=proposal.approvals_needed,
        notes=tuple(_wait_too(older)),
        approvers=approval_facts.describe_approvers(
            rights.authorizer, tx.sql, tx.now, proposal, proposal.approvals_needed
        ),
        written=plan_writer.write_proposal(tx, proposal, request, decision, rights.subscriptions),
    )


def _same(one: Proposal, other: Proposal) -> bool:
    return (one.digest, one.approvals_needed, one.incident_id, one.undo_of) == (
        other.digest,
        other.approvals_needed,
        other.incident_id,
        other.undo_of,
    )


def _waits_already(one: Proposal) -> str:
    asked = f"Asked for already, at {one.at:%H:%M} UTC in {one.channel}: plan {one.short_handle} waits"
    return f"{asked}, and no second one was made. {approval.how_to_drop(one)}"


def _wait_too(older: Iterable[Proposal]) -> Iterable[str]:
    for one in older:
        waits = f"An older plan of the same request waits too, until {one.expires_at:%H:%M} UTC: {one.short_handle}."
        yield f"{waits} It is not this plan, and stays. {approval.how_to_drop(one)}"
